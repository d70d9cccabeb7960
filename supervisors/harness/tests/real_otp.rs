//! Our side of the harness against real OTP: what it prints, what it prints again, what it records.
//!
//! These tests need Erlang. Without it they fail and say how to install it.

#![expect(clippy::panic, reason = "a test helper fails its test by panicking")]

use otp_harness::fixtures;
use otp_harness::generate::Family;
use otp_harness::otp::{Otp, OtpError};
use otp_harness::replay::difference;
use otp_harness::script::Script;
use otp_harness::trace::Line;

fn start() -> Otp {
    Otp::start().unwrap_or_else(|error| panic!("{error}"))
}

fn check_lines(script: &Script, trace: &[String]) {
    for line in trace {
        match line.parse::<Line>() {
            Ok(read) => assert_eq!(&read.to_string(), line, "in the trace of\n{script}"),
            Err(error) => panic!("{line}: {error}, in the trace of\n{script}"),
        }
    }
    let mut ops = trace.iter().filter_map(|line| line.strip_prefix("op "));
    assert_eq!(ops.next(), Some("0 start_link"));
    for (op, index) in script.ops.iter().zip(1..) {
        assert_eq!(ops.next(), Some(format!("{index} {}", op.to_term()).as_str()));
    }
    assert_eq!(ops.next(), None, "one operation for each of\n{script}");
}

/// Every line that OTP prints is read into a type and printed the same, and each operation of a
/// script is printed by OTP as by us.
#[test]
fn traces_are_read_and_printed_byte_for_byte() {
    let mut otp = start();
    for family in Family::ALL {
        let scripts: Vec<_> = (1000..1040).map(|seed| family.script(seed)).collect();
        let traces = otp.run_all(&scripts).unwrap_or_else(|error| panic!("{family}: {error}"));
        for (script, trace) in scripts.iter().zip(&traces) {
            check_lines(script, trace);
        }
    }
}

/// A script by hand, with everything that the generator leaves to others: `~w` of odd atoms, maps
/// and strings, defaults, operations on what doesn't exist.
#[test]
fn odd_terms_are_printed_byte_for_byte() {
    let text = r#"
        {sup, #{}, [#{id => 'Odd one', obey => other, shutdown => 5000}, #{id => {a, [1]}}]}.
        {op, {get_childspec, [root], 'Odd one'}}.      % the defaults
        {op, {crash, [root, {a, "\001"}], {shutdown, 'it''s'}}}.
        {op, {crash, [root, {a, [1]}], {odd, #{b => 1, 'A' => 2, 10 => 3, {} => 4}}}}.
        {op, {crash, [root, 'Odd one'], {boom, "with a stack"}}}.
        {op, {get_childspec, [root], 'after'}}.
        {op, {stop, 'shut\ndown'}}."#
        .replace("it''s", "it\\'s")
        .replace("a, \"\\001\"", "a, \"\\x01\"");
    let script = Script::parse(&text).unwrap();
    let trace = start().run(&script).unwrap();
    check_lines(&script, &trace);
    let rets: Vec<_> = trace.iter().filter_map(|line| line.strip_prefix("ret ")).collect();
    assert_eq!(
        rets,
        [
            "0 ok_pid",
            "1 {spec,'Odd one',permanent,5000,worker,false}",
            "2 ok",
            "3 ok",
            "4 noproc",
            "5 noproc",
            "6 noproc",
        ]
    );
}

/// Two nodes at once give the same traces, so a trace is the script's and not the moment's.
#[test]
fn otp_is_deterministic_on_generated_scripts() {
    let scripts: Vec<_> = (5000..5120).map(Script::random).collect();
    let run = || start().run_all(&scripts).unwrap_or_else(|error| panic!("{error}"));
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(run);
        (run(), other.join().unwrap())
    });
    for ((script, a), b) in scripts.iter().zip(&first).zip(&second) {
        if let Some(difference) = difference(a, b) {
            panic!("{script}{difference}");
        }
    }
}

/// The recorded traces are still what OTP does and what their seeds generate.
#[test]
fn recorded_traces_are_current() {
    let fixtures = fixtures::all().unwrap();
    assert!(fixtures.len() >= 2400, "{} recorded scripts", fixtures.len());
    for family in Family::ALL {
        let own: Vec<_> = fixtures.iter().filter(|fixture| fixture.family == family).collect();
        assert!(own.len() >= 300, "{family}: {} recorded scripts", own.len());
    }
    // One in eleven: recording anew takes half a minute, and this has to stay quick.
    let sample: Vec<_> = fixtures.into_iter().step_by(11).collect();
    let scripts: Vec<_> = sample.iter().map(|fixture| fixture.script.clone()).collect();
    let traces = start().run_all(&scripts).unwrap_or_else(|error| panic!("{error}"));
    for (fixture, trace) in sample.iter().zip(&traces) {
        let (family, seed) = (fixture.family, fixture.seed);
        assert_eq!(
            family.script(seed),
            fixture.script,
            "{family} {seed}: record the fixtures anew"
        );
        check_lines(&fixture.script, &fixture.expected);
        if let Some(difference) = difference(&fixture.expected, trace) {
            panic!("{family} {seed}:\n{}{difference}", fixture.script);
        }
    }
}

/// A node that doesn't answer in time is an error that shows the script, and dropping it ends it.
#[test]
fn a_deadline_ends_the_wait() {
    let text = "{sup,#{},[#{id => a,obey => hang,shutdown => infinity}]}.
        {op,{terminate_child,[root],a}}.";
    let script = Script::parse(text).unwrap();
    let deadline = std::time::Duration::from_millis(1500);
    let error = start().with_deadline(deadline).run(&script).unwrap_err();
    assert!(matches!(error, OtpError::Deadline { .. }), "{error}");
    assert!(error.to_string().contains("terminate_child"), "{error}");
}

/// A script that the Erlang side can't run ends the node, which is an error too. (It takes a child
/// whose id is `undefined` for one of simple_one_for_one.)
#[test]
fn a_node_that_ends_is_an_error() {
    let text = "{sup,#{},[#{id => undefined},#{id => b}]}. {op,{crash,[root,nobody],boom}}.";
    let script = Script::parse(text).unwrap();
    let mut otp = start();
    let error = otp.run(&script).unwrap_err();
    assert!(matches!(error, OtpError::Ended { .. }), "{error}");
    assert!(otp.run(&script).is_err(), "and stays one");
}
