//! The way of log lines to stderr: a bounded queue, and a thread that writes.
//!
//! A reader that doesn't read must not stop the node, so lines past the bound are lost; they are
//! counted, and told as soon as there is room again.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

/// Lines that wait for stderr.
pub(super) const WAITING_LINES: usize = 8_192;
/// Bytes of lines that are written at once, as far as lines wait.
const AT_ONCE: usize = 64 * 1024;
/// How long the end of the process waits for them.
const LAST_LINES: Duration = Duration::from_secs(1);
/// How often the end of the process looks whether a full queue has room.
const ROOM_AGAIN: Duration = Duration::from_millis(1);
/// Losses are told this often at most: where they go on, a line about each would add to them.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Lines that were lost since the process began. The log belongs to the process, not to a node.
static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// The lines that this process's log has lost; clones share the value.
pub fn lost() -> Counter {
    LOST.clone()
}

enum Msg {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Where lines are written. It never blocks and never fails: `tracing-subscriber` answers a failed
/// write with `eprintln!`, which panics where stderr is gone.
#[derive(Clone)]
pub(super) struct Lines {
    queue: SyncSender<Msg>,
    lost: Counter,
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Msg::Line(line.to_vec())).is_err() {
            self.lost.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Dropped at the end of the process: the last lines are written then.
#[must_use]
pub struct Flush(SyncSender<Msg>);

impl Drop for Flush {
    fn drop(&mut self) {
        let (done, wait) = sync_channel(1);
        let (mut flush, begun) = (Msg::Flush(done), Instant::now());
        // A full queue has room again as soon as its reader reads.
        while let Err(TrySendError::Full(back)) = self.0.try_send(flush) {
            if begun.elapsed() >= LAST_LINES {
                return;
            }
            flush = back;
            std::thread::park_timeout(ROOM_AGAIN);
        }
        let _ = wait.recv_timeout(LAST_LINES);
    }
}

/// A queue of this many lines, written by a thread; `lost` counts what finds no room, and `tell`
/// logs how many those were.
pub(super) fn lines(
    capacity: usize,
    out: impl Write + Send + 'static,
    lost: Counter,
    tell: impl Fn(u64) + Send + 'static,
) -> (Lines, Flush) {
    let (queue, receiver) = sync_channel(capacity);
    let losses = Losses { told: lost.get(), lost: lost.clone(), last: None };
    let writing = move || write(&receiver, out, losses, tell);
    let _ = std::thread::Builder::new().name("log".to_owned()).spawn(writing);
    (Lines { queue: queue.clone(), lost }, Flush(queue))
}

/// What is lost, and how much of that is told.
struct Losses {
    lost: Counter,
    told: u64,
    last: Option<Instant>,
}

impl Losses {
    fn untold(&self) -> u64 {
        self.lost.get().saturating_sub(self.told)
    }

    fn are_due(&self) -> bool {
        self.untold() > 0 && self.last.is_none_or(|last| last.elapsed() >= TELL_EVERY)
    }

    fn tell(&mut self, tell: &impl Fn(u64)) {
        let untold = self.untold();
        if untold > 0 {
            self.told += untold;
            self.last = Some(Instant::now());
            tell(untold);
        }
    }
}

fn write(receiver: &Receiver<Msg>, mut out: impl Write, mut losses: Losses, tell: impl Fn(u64)) {
    loop {
        let received = match losses.untold() {
            0 => receiver.recv().map_err(RecvTimeoutError::from),
            _ => receiver.recv_timeout(TELL_EVERY),
        };
        match received {
            Ok(Msg::Line(line)) => {
                let flush = gather(receiver, line, &mut out);
                if let Some(done) = flush {
                    losses.tell(&tell);
                    finish(receiver, &mut out, &done);
                }
            }
            Ok(Msg::Flush(done)) => {
                losses.tell(&tell);
                finish(receiver, &mut out, &done);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // What was just taken made room for the line that `tell` logs.
        if losses.are_due() {
            losses.tell(&tell);
        }
    }
}

/// Writes a line and all that wait behind it at once: a system call for each would cost more than
/// the lines. Gives back a flush that it met.
fn gather(
    receiver: &Receiver<Msg>,
    mut lines: Vec<u8>,
    out: &mut impl Write,
) -> Option<SyncSender<()>> {
    let mut flush = None;
    while lines.len() < AT_ONCE {
        match receiver.try_recv() {
            Ok(Msg::Line(line)) => lines.extend_from_slice(&line),
            Ok(Msg::Flush(done)) => {
                flush = Some(done);
                break;
            }
            Err(_) => break,
        }
    }
    let _ = out.write_all(&lines);
    flush
}

/// Writes what still waits, and says so.
fn finish(receiver: &Receiver<Msg>, out: &mut impl Write, done: &SyncSender<()>) {
    while let Ok(Msg::Line(line)) = receiver.try_recv() {
        let _ = out.write_all(&line);
    }
    let _ = done.send(());
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Blocks in its first write until it is let go.
    struct Gate(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lost_lines_are_counted_and_told_once_there_is_room() {
        let (open, gate) = sync_channel::<()>(0);
        let (tell, told) = sync_channel(8);
        let (written, lost) = (Arc::default(), Counter::default());
        let gate = Gate(gate, Arc::clone(&written));
        let (mut lines, flush) = lines(3, gate, lost.clone(), move |n| tell.send(n).unwrap());
        // Some are being written at once, and three wait: some of ten find no room.
        for number in 0..10 {
            lines.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        let missing = lost.get();
        assert!(missing >= 3, "{missing}");
        drop(open);
        assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(missing));
        drop(flush);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count() as u64, 10 - missing, "{text}");
        assert!(told.try_recv().is_err(), "told once");
    }
}
