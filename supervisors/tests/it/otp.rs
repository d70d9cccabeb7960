//! Held against real OTP: the same scripts, the same traces, line by line.
//!
//! `OTP_SCRIPTS` is how many fresh scripts each run makes, over all families.

use std::cell::RefCell;
use std::path::PathBuf;

use otp_harness::fixtures;
use otp_harness::generate::Family;
use otp_harness::otp::Otp;
use otp_harness::replay::{Subject, difference, replay};
use otp_harness::script::Script;
use otp_harness::subject::{Kind, Machines, Real};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

/// Replays all recorded scripts and says where the traces part.
fn fixtures_hold<S: Subject>(subject: impl Fn() -> S) {
    let all = fixtures::all().unwrap();
    assert!(all.len() >= 2_000, "{} recorded scripts", all.len());
    let mut failed = 0;
    for fixture in &all {
        let got = replay(&fixture.script, &mut subject());
        if let Some(difference) = difference(&fixture.expected, &got) {
            failed += 1;
            if failed <= 3 {
                println!("{} {}\n{}\n{difference}", fixture.family, fixture.seed, fixture.script);
            }
        }
    }
    assert_eq!(failed, 0, "of {} scripts", all.len());
}

#[test]
fn machines_follow_the_recorded_traces() {
    fixtures_hold(Machines::new);
}

#[test]
fn supervised_actors_follow_the_recorded_traces() {
    fixtures_hold(|| Real::new(Kind::Actor).unwrap());
}

#[test]
fn supervised_tasks_follow_the_recorded_traces() {
    fixtures_hold(|| Real::new(Kind::Task).unwrap());
}

/// Runs a script on OTP and on all of ours; how many lines they agree on, or where they don't.
fn agree(otp: &mut Otp, script: &Script) -> Result<usize, String> {
    let expected = otp.run(script).map_err(|error| error.to_string())?;
    let ours = [
        ("machines", replay(script, &mut Machines::new())),
        ("actors", replay(script, &mut Real::new(Kind::Actor).unwrap())),
        ("tasks", replay(script, &mut Real::new(Kind::Task).unwrap())),
    ];
    for (name, got) in ours {
        if let Some(difference) = difference(&expected, &got) {
            return Err(format!("{name}:\n{difference}"));
        }
    }
    Ok(expected.len())
}

fn regressions() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("harness/regressions")
}

/// Fresh scripts of one family. One that fails is shrunk and kept for the test below.
fn fresh_scripts_agree(family: Family) {
    let wanted = std::env::var("OTP_SCRIPTS").map_or(350, |text| text.parse().unwrap());
    let cases = wanted / u32::try_from(Family::ALL.len()).unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let (otp, lines) = (RefCell::new(Otp::start().unwrap()), RefCell::new(0));
    let outcome = TestRunner::new(config).run(&family.strategy(), |script| {
        *lines.borrow_mut() +=
            agree(&mut otp.borrow_mut(), &script).map_err(TestCaseError::fail)?;
        Ok(())
    });
    if let Err(TestError::Fail(why, script)) = &outcome {
        let path = regressions().join(format!("{family}-{}.script", script.ops.len()));
        std::fs::write(&path, script.to_string()).unwrap();
        panic!("kept as {}\n{why}\n{script}", path.display());
    }
    outcome.unwrap();
    println!("{family}: {cases} fresh scripts, {} equal lines", lines.borrow());
}

macro_rules! fresh {
    ($($test:ident: $family:ident,)*) => {
        $(#[test]
        fn $test() {
            fresh_scripts_agree(Family::$family);
        })*

        #[test]
        fn every_family_has_its_test() {
            assert_eq!(Family::ALL, [$(Family::$family),*]);
        }
    };
}

fresh! {
    fresh_static: Static,
    fresh_auto_shutdown: AutoShutdown,
    fresh_starts: Starts,
    fresh_queued: Queued,
    fresh_hanging: Hanging,
    fresh_dynamic: Dynamic,
    fresh_nested: Nested,
}

#[test]
fn scripts_that_once_failed_agree() {
    let mut otp = Otp::start().unwrap();
    for entry in std::fs::read_dir(regressions()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "script") {
            let script = Script::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let agreed = agree(&mut otp, &script);
            agreed.unwrap_or_else(|why| panic!("{}\n{why}", path.display()));
        }
    }
}
