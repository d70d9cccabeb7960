//! The binary: its commands and exit codes.

use std::process::{Command, Output};

fn erlmcp(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_erlmcp"));
    command.args(arguments).envs(variables.iter().copied()).env_remove("ERLMCP_CONFIG");
    command.output().unwrap()
}

/// Arguments, variables, the exit code, and a text that is told.
type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a str);

#[test]
fn exit_codes_tell_what_went_wrong() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/rel/erlmcp.toml");
    let zero = ("ERLMCP__SESSIONS__MAX", "0");
    let table: [Row<'_>; 7] = [
        (&["version"], &[], 0, "erlmcp 3.0.0"),
        (&["check", "--config", shipped], &[], 0, "good"),
        (&["check"], &[zero], 64, "sessions.max"),
        (&["start"], &[zero], 64, "sessions.max"),
        (&["check", "--set", "http.lisen=x"], &[], 64, "http.lisen"),
        (&["nonsense"], &[], 2, "nonsense"),
        (&["check", "--set", "nonsense"], &[], 2, "SECTION.KEY=VALUE"),
    ];
    for (arguments, variables, code, text) in table {
        let output = erlmcp(arguments, variables);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(text), "{arguments:?}: {told}");
    }
}

#[test]
fn a_taken_port_is_a_failure_with_its_cause() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = format!("http.listen={address}");
    let output = erlmcp(&["start", "--set", &listen, "--set", "metrics.listen=127.0.0.1:0"], &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&address) && told.contains("in use"), "{told}");
}
