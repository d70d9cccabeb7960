//! Tests of the kept events: reading, resuming, bounds.

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { events: 4, bytes: 100, age_ms: 1_000 };

fn data(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

/// All that a reader finds now, the last thing included.
fn all(events: &mut Events, reader: &mut Reader) -> String {
    let mut found = Vec::new();
    loop {
        match events.next(reader) {
            Found::Event(id, data) => {
                found.push(format!("{id}:{}", String::from_utf8_lossy(&data)))
            }
            other => {
                found.push(format!("{other:?}"));
                return found.join(" ");
            }
        }
    }
}

#[test]
fn each_stream_has_its_own_events_and_ends_with_its_last() {
    let mut events = Events::new(LIMITS, Shelf::new(1_000_000));
    let mut reader = events.open();
    let one = reader.stream();
    events.push(StreamId::OWN, data("own"));
    events.push(one, data("a"));
    assert_eq!(all(&mut events, &mut reader), "1-1:a Nothing");
    events.finish(one, data("b"), 0);
    events.push(one, data("too late"));
    assert_eq!(all(&mut events, &mut reader), "1-2:b End");
    let mut own = events.read(StreamId::OWN).unwrap();
    assert_eq!(all(&mut events, &mut own), "0-1:own Nothing");
}

#[test]
fn a_client_resumes_behind_its_last_event() {
    let mut events = Events::new(LIMITS, Shelf::new(1_000_000));
    let mut first = events.open();
    let one = first.stream();
    for text in ["a", "b"] {
        events.push(one, data(text));
    }
    events.release(one);
    assert_eq!(all(&mut events, &mut first), "1-1:a 1-2:b End");
    let mut second = events.read_behind(EventId::parse("1-1").unwrap()).unwrap();
    assert_eq!(all(&mut events, &mut second), "1-2:b Nothing");
    assert_eq!(all(&mut events, &mut first), "End", "the later reader has its place");
    events.finish(one, data("c"), 0);
    assert_eq!(all(&mut events, &mut second), "1-3:c End");
    for unknown in ["1-9", "7-1", "0-1"] {
        assert!(events.read_behind(EventId::parse(unknown).unwrap()).is_none(), "{unknown}");
    }
    for odd in ["", "1", "1-", "a-b", "-1-1", "1-18446744073709551616"] {
        assert!(EventId::parse(odd).is_none(), "{odd}");
    }
    assert!(events.read_behind(EventId::parse("1-18446744073709551615").unwrap()).is_none());
}

#[test]
fn what_is_too_old_or_too_much_is_gone_and_the_reader_goes_on() {
    let mut events = Events::new(LIMITS, Shelf::new(1_000_000));
    let mut reader = events.read(StreamId::OWN).unwrap();
    for text in ["a", "b", "c", "d", "e"] {
        events.push(StreamId::OWN, data(text));
    }
    assert_eq!(all(&mut events, &mut reader), "0-2:b 0-3:c 0-4:d 0-5:e Nothing");
    let mut reader = events.open();
    events.finish(reader.stream(), data(&"x".repeat(200)), 0);
    assert!(matches!(events.next(&mut reader), Found::Event(_, big) if big.len() == 200));
    assert_eq!(events.bytes(), 200);
    events.expire(1_001);
    assert_eq!((events.bytes(), events.next(&mut reader)), (0, Found::End));
}

#[test]
fn an_answer_that_somebody_waits_for_is_not_dropped() {
    let mut events = Events::new(LIMITS, Shelf::new(1_000_000));
    let (mut one, two) = (events.open(), events.open());
    events.push(one.stream(), data("first"));
    events.finish(one.stream(), data(&"a".repeat(60)), 0);
    events.finish(two.stream(), data(&"b".repeat(60)), 0);
    assert_eq!(events.bytes(), 120);
    let answer = format!("1-2:{} End", "a".repeat(60));
    assert_eq!(all(&mut events, &mut one), answer);
    // What was taken is kept as long as there is room, and what nobody waits for any more.
    events.leave(&two);
    events.push(StreamId::OWN, data("c"));
    assert_eq!(events.bytes(), 61);
    let mut again = events.read_behind(EventId::parse("2-0").unwrap()).unwrap();
    assert_eq!(all(&mut events, &mut again), format!("2-1:{} End", "b".repeat(60)));
}

#[test]
fn who_comes_back_late_still_finds_the_answer() {
    let mut events = Events::new(LIMITS, Shelf::new(1_000_000));
    let one = events.open();
    for text in ["a", "b", "c", "d"] {
        events.push(one.stream(), data(text));
    }
    events.leave(&one);
    events.finish(one.stream(), data("answer"), 0);
    let mut late = events.read_behind(EventId::parse("1-0").unwrap()).unwrap();
    assert_eq!(all(&mut events, &mut late), "1-2:b 1-3:c 1-4:d 1-5:answer End");
}

#[test]
fn what_only_says_look_again_waits_once() {
    let mut events = Events::new(LIMITS, Shelf::new(1_000_000));
    for _ in 0..3 {
        events.push_once(StreamId::OWN, data("changed"));
    }
    let mut reader = events.read(StreamId::OWN).unwrap();
    assert_eq!(all(&mut events, &mut reader), "0-1:changed Nothing");
    events.push_once(StreamId::OWN, data("changed"));
    assert_eq!(all(&mut events, &mut reader), "0-2:changed Nothing");
}

#[derive(Debug, Clone)]
enum Step {
    Open,
    Push(usize, usize),
    Finish(usize),
    Read(usize),
    Expire,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        Just(Step::Open),
        (0_usize..4, 0_usize..60).prop_map(|(stream, size)| Step::Push(stream, size)),
        (0_usize..4).prop_map(Step::Finish),
        (0_usize..4).prop_map(Step::Read),
        Just(Step::Expire),
    ];
    proptest::collection::vec(step, 0..80)
}

proptest! {
    /// Whatever happens, the bounds hold, and a reader sees rising events of its own stream.
    #[test]
    fn bounds_hold_and_no_event_comes_twice(steps in steps()) {
        let mut events = Events::new(LIMITS, Shelf::new(1_000_000));
        let mut streams = vec![StreamId::OWN];
        let mut readers: Vec<(Reader, u64)> = Vec::new();
        for (now, step) in (0_u64..).zip(steps) {
            let pick = |at: usize| streams[at % streams.len()];
            match step {
                Step::Open => streams.push(events.open().stream()),
                Step::Push(stream, size) => events.push(pick(stream), data(&"x".repeat(size))),
                Step::Finish(stream) if pick(stream) != StreamId::OWN => {
                    events.finish(pick(stream), data("end"), now * 100);
                }
                Step::Read(stream) => {
                    readers.extend(events.read(pick(stream)).map(|reader| (reader, 0)));
                }
                Step::Finish(_) | Step::Expire => events.expire(now * 100),
            }
            // But for the newest event, and answers on their way.
            let owed = events.streams.values().filter(|stream| stream.owes_its_end()).count();
            prop_assert!(events.count <= LIMITS.events.max(owed + 1));
            prop_assert!(events.bytes <= LIMITS.bytes || events.count <= owed + 1);
            for (reader, last) in &mut readers {
                while let Found::Event(id, _) = events.next(reader) {
                    prop_assert_eq!(id.stream, reader.stream);
                    prop_assert!(id.event > *last);
                    *last = id.event;
                }
            }
        }
    }
}

#[test]
fn all_sessions_together_have_bounded_room() {
    let limits = Limits { events: 1_000, bytes: 10 * EACH, age_ms: 1_000 };
    let shelf = Shelf::new(12 * EACH);
    let mut sessions: Vec<_> = (0..10).map(|_| Events::new(limits, shelf.clone())).collect();
    for events in &mut sessions {
        for _ in 0..40 {
            events.push(StreamId::OWN, Bytes::from(vec![0; EACH / 4]));
        }
    }
    // The first took its own share, the others what was left.
    let kept: Vec<_> = sessions.iter().map(|events| events.bytes() / EACH).collect();
    assert_eq!(kept, [10, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(shelf.bytes(), 20 * EACH);
    sessions.truncate(1);
    assert_eq!(shelf.bytes(), 10 * EACH);
    sessions.clear();
    assert_eq!(shelf.bytes(), 0);
}
