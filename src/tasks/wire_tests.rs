//! Tests of the shapes of tasks, by tables.

use serde_json::Value;

use super::*;
use crate::protocol::{AskKind, Code, RpcError};

const ID: &str = "786512e2-9e0d-44bd-8f29-789f320fe840";
const CREATED_MS: u64 = 1_764_066_600_000;

fn machine() -> Machine {
    Machine::new(CREATED_MS, 60_000)
}

fn view(machine: &Machine) -> View<'_> {
    View { id: ID, machine, poll_interval_ms: 5_000 }
}

fn value<T: serde::Serialize>(encoded: Result<T>) -> Value {
    serde_json::to_value(encoded.unwrap()).unwrap()
}

fn params(outgoing: &Outgoing) -> Value {
    serde_json::from_str(outgoing.params.as_deref().unwrap().get()).unwrap()
}

fn ask(kind: AskKind, params: &str) -> Ask {
    Ask { kind, params: serde_json::from_str(params).unwrap() }
}

/// The members that every task has, with those of `more`.
fn task(era: Era, status: &str, updated: &str, more: Value) -> Value {
    let mut task = json!({
        "taskId": ID,
        "status": status,
        "createdAt": "2025-11-25T10:30:00.000Z",
        "lastUpdatedAt": updated,
    });
    let limits = match era {
        Era::Legacy => json!({ "ttl": 60_000, "pollInterval": 5_000 }),
        Era::Modern => json!({ "ttlMs": 60_000, "pollIntervalMs": 5_000 }),
    };
    for members in [limits, more] {
        for (key, value) in members.as_object().unwrap() {
            task[key] = value.clone();
        }
    }
    task
}

const AT_ONCE: &str = "2025-11-25T10:30:00.000Z";
const LATER: &str = "2025-11-25T10:30:01.500Z";

#[test]
fn times_are_iso_8601_in_utc() {
    for (ms, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_001, "2000-02-29T00:00:00.001Z"),
        (CREATED_MS, AT_ONCE),
        (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        (u64::MAX, "1970-01-01T00:00:00.000Z"),
    ] {
        assert_eq!(timestamp(ms), text);
    }
}

#[test]
fn a_created_task_is_wrapped_in_the_legacy_era_and_flat_in_the_modern_one() {
    let machine = machine();
    let legacy = json!({
        "task": task(Era::Legacy, "working", AT_ONCE, json!({})),
        "_meta": { RELATED_TASK: { "taskId": ID } },
    });
    assert_eq!(value(view(&machine).created(Era::Legacy)), legacy);
    let modern = task(Era::Modern, "working", AT_ONCE, json!({ "resultType": "task" }));
    assert_eq!(value(view(&machine).created(Era::Modern)), modern);
}

#[test]
fn modern_tasks_bring_along_what_their_status_means() {
    let done = |outcome| {
        let mut machine = machine();
        machine.finish(outcome, CREATED_MS + 1_500).unwrap();
        machine
    };
    let asking = {
        let mut machine = machine();
        let form = ask(AskKind::ElicitForm, r#"{"message":"?"}"#);
        machine.ask(form, CREATED_MS + 1_500).unwrap();
        machine.ask(ask(AskKind::ListRoots, "null"), CREATED_MS + 1_500).unwrap();
        machine
    };
    let cancelled = {
        let mut machine = machine();
        machine.cancel(CREATED_MS + 1_500).unwrap();
        machine
    };
    let tool_error: ResultObject = serde_json::from_str(r#"{"isError":true}"#).unwrap();
    let broken = RpcError::new(Code::ResourceNotFound, "broken");
    let table = [
        (
            asking,
            "input_required",
            json!({ "inputRequests": {
                "q1": { "method": "elicitation/create", "params": { "message": "?" } },
                "q2": { "method": "roots/list" },
            } }),
        ),
        (
            done(Ok(tool_error)),
            "completed",
            json!({ "result": { "isError": true, "resultType": "complete" } }),
        ),
        (
            done(Err(broken)),
            "failed",
            json!({
                "error": { "code": -32602, "message": "broken" },
                "statusMessage": "broken",
            }),
        ),
        (cancelled, "cancelled", json!({ "statusMessage": "The task was cancelled by request" })),
    ];
    for (machine, status, more) in table {
        let expected = task(Era::Modern, status, LATER, more);
        let told = view(&machine).notification(Era::Modern).unwrap();
        assert_eq!((told.method, params(&told)), ("notifications/tasks", expected.clone()));
        let mut found = value(view(&machine).found(Era::Modern));
        let result_type = found.as_object_mut().unwrap().remove("resultType").unwrap();
        assert_eq!((result_type, found), (json!("complete"), expected), "{status}");
    }
}

#[test]
fn legacy_tasks_are_the_task_alone() {
    let mut machine = machine();
    let tool_error: ResultObject = serde_json::from_str(r#"{"isError":true}"#).unwrap();
    machine.finish(Ok(tool_error), CREATED_MS + 1_500).unwrap();
    let message = json!({ "statusMessage": "The tool reported an error" });
    let expected = task(Era::Legacy, "failed", LATER, message);
    assert_eq!(value(view(&machine).found(Era::Legacy)), expected);
    assert_eq!(value(view(&machine).cancelled(Era::Legacy)), expected);
    let told = view(&machine).notification(Era::Legacy).unwrap();
    assert_eq!((told.method, params(&told)), ("notifications/tasks/status", expected.clone()));
    let listed = page(&[view(&machine).task(Era::Legacy).unwrap()], Some("c"));
    assert_eq!(value(listed), json!({ "tasks": [expected], "nextCursor": "c" }));
    assert_eq!(value(page(&[], None)), json!({ "tasks": [] }));
}

#[test]
fn modern_acknowledgements_are_empty() {
    let empty = json!({ "resultType": "complete" });
    assert_eq!(value(view(&machine()).cancelled(Era::Modern)), empty);
    assert_eq!(value(acknowledged()), empty);
}

#[test]
fn messages_name_their_task_and_keep_their_meta() {
    let meta = |value: &Value| value["_meta"][RELATED_TASK]["taskId"] == json!(ID);
    let mut result: ResultObject = serde_json::from_str(r#"{"a":1.10,"_meta":{"b":2}}"#).unwrap();
    relate(&mut result, ID).unwrap();
    assert_eq!(result.get("a"), Some("1.10"));
    let result = serde_json::to_value(&result).unwrap();
    assert!(meta(&result) && result["_meta"]["b"] == json!(2));

    for params in ["null", r#"{"message":"?"}"#] {
        let related = related_ask(&ask(AskKind::ElicitForm, params), ID).unwrap();
        assert!(meta(&serde_json::from_str(related.params.unwrap().get()).unwrap()), "{params}");
    }
    assert!(related_ask(&ask(AskKind::ListRoots, "5"), ID).is_err());
    let progress = Outgoing::new("notifications/progress", &json!({ "progress": 1.0 }));
    let progress = params(&related_notification(&progress, ID).unwrap());
    assert!(meta(&progress) && progress["progress"] == json!(1.0));
}
