//! What a child starts with, and what is said where it can't.

use std::path::PathBuf;

use erlmcp::provider::upstream::spec::Command;
use erlmcp::provider::upstream::wire::Why;
use erlmcp::secret::Secret;

use super::{Child, LONG, SHORT, held, launchers};
use crate::harness::Scratch;

const ANSWERS: &str = r#"while read -r line; do echo '{"jsonrpc":"2.0","id":7,"result":{}}'; done"#;

#[tokio::test]
async fn messages_go_there_and_back() {
    for launcher in launchers() {
        let child = Child::shell(&launcher, LONG, ANSWERS);
        child.order(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#).await;
        child.mail.has("answers 7 {}").await;
        let (pid, vitals) = (child.vitals.pid().unwrap(), child.vitals.clone());
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(command.starts_with("/") && command.contains("sh\0-c\0while read"), "{command}");
        let closing = child.stop().await;
        assert_eq!((closing.why, closing.cause.as_str()), (Why::Told, "was stopped"));
        assert!(!super::exists(pid));
        assert_eq!((vitals.messages(), vitals.noise(), vitals.pid()), (1, 0, None));
    }
}

#[tokio::test]
async fn a_child_sees_what_is_configured_and_little_else() {
    for launcher in launchers() {
        let scratch = Scratch::new();
        let place = scratch.file("x", "").parent().unwrap().to_owned();
        let mut command = Command {
            program: "sh".to_owned(),
            args: ["-c", "env >&2; pwd >&2; echo \"$1\" >&2", "sh", "a b"].map(String::from).into(),
            cwd: Some(place.clone()),
            ..Command::default()
        };
        command.env.insert("TOKEN".to_owned(), Secret::from("hunter2"));
        let mut child = Child::start(&launcher, LONG, &command).unwrap();
        child.ended().await;
        let said = child.tail.last(usize::MAX);
        for line in ["TOKEN=hunter2", "a b", &place.display().to_string()] {
            assert!(said.iter().any(|said| said == line), "{line}: {said:?}");
        }
        assert!(said.iter().any(|line| line.starts_with("PATH=")));
        assert!(!said.iter().any(|line| line.starts_with("CARGO")), "{said:?}");
        assert_eq!(child.vitals.stderr_lines(), said.len() as u64);
    }
}

#[tokio::test]
async fn what_can_t_be_started_says_why() {
    let scratch = Scratch::new();
    let script = scratch.file("server", "#!/nowhere/python\n");
    let at = |program: &str, cwd: Option<&str>| {
        let command = Command {
            program: program.to_owned(),
            cwd: cwd.map(PathBuf::from),
            ..Command::default()
        };
        Child::start(&held(), SHORT, &command)
    };
    let path = script.display().to_string();
    for (program, cwd, expected) in [
        ("npxx", None, "'npxx' is not in PATH"),
        ("/nowhere/x", None, "there is no file '/nowhere/x'"),
        (&path, None, "is not an executable file; make it one"),
        ("sh", Some("/nowhere"), "its working directory '/nowhere' does not exist"),
    ] {
        let error = at(program, cwd).err().unwrap().to_string();
        assert!(error.contains(expected), "{program}: {error}");
    }
    let runnable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, runnable).unwrap();
    let closing = at(&path, None).unwrap().ended().await;
    assert_eq!(closing.why, Why::Crashed);
    let expected = format!("can't be run: '{path}': it, or the interpreter in its first line");
    assert!(closing.cause.starts_with(&expected), "{}", closing.cause);
}
