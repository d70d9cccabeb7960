//! From orders to a child's standard input: one message a line, as many at once as wait.

use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::provider::upstream::wire::Order;

/// Orders that are taken at once.
const BATCH: usize = 64;
/// Bytes that wait for a child that reads slowly. With more, orders wait in their queue.
const ROOM: usize = 256 * 1024;
/// How often it is looked whether anybody still gives orders, while none can be taken.
const GLANCE: Duration = Duration::from_millis(100);
/// How long what was ordered last may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why nothing is written any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// Nobody gives orders any more.
    All,
    /// The child has closed its standard input.
    Refused,
}

/// Writes what is ordered, and closes the input behind the last order.
pub(super) async fn write(
    mut stdin: impl AsyncWrite + Unpin,
    mut orders: mpsc::Receiver<Order>,
) -> Written {
    let (mut waiting, mut batch) = (BytesMut::new(), Vec::with_capacity(BATCH));
    loop {
        if waiting.is_empty() {
            if waiting.capacity() > ROOM {
                waiting = BytesMut::new();
            }
            if orders.recv_many(&mut batch, BATCH).await == 0 {
                return Written::All;
            }
            batch.drain(..).for_each(|order| append(order, &mut waiting));
            continue;
        }
        let waiting_bytes = waiting.len();
        let more = async {
            if waiting_bytes < ROOM {
                return orders.recv_many(&mut batch, BATCH).await;
            }
            abandoned(&orders).await;
            0
        };
        tokio::select! {
            biased;
            written = stdin.write_buf(&mut waiting) => {
                if !matches!(written, Ok(1..)) {
                    return Written::Refused;
                }
            }
            taken = more => {
                if taken == 0 {
                    let _ = timeout(LAST_WORDS, stdin.write_all_buf(&mut waiting)).await;
                    return Written::All;
                }
                batch.drain(..).for_each(|order| append(order, &mut waiting));
            }
        }
    }
}

/// A queue tells of its end only behind what it holds, which nobody may take now.
async fn abandoned(orders: &mpsc::Receiver<Order>) {
    while orders.sender_strong_count() > 0 {
        sleep(GLANCE).await;
    }
}

fn append(order: Order, waiting: &mut BytesMut) {
    let text = match order {
        Order::Request(request) => request.text,
        Order::Message(text) => text,
        // One pipe carries all requests, in one revision that each message tells by itself.
        Order::Abandon(_) | Order::Speak(_) => return,
    };
    waiting.reserve(text.len() + 1);
    // A line break within a message stands between its tokens: JSON has none within strings.
    if text.contains(&b'\n') || text.contains(&b'\r') {
        waiting.extend(text.iter().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            byte => *byte,
        }));
    } else {
        waiting.put_slice(&text);
    }
    waiting.put_u8(b'\n');
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::protocol::Revision;
    use crate::provider::upstream::wire::Outbound;

    fn message(text: &str) -> Order {
        Order::Message(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn request(text: &str) -> Order {
        let text = Bytes::copy_from_slice(text.as_bytes());
        Order::Request(Outbound { id: 1, text, method: "ping", name: None, mirrored: Vec::new() })
    }

    #[tokio::test]
    async fn each_message_is_one_line_and_the_last_order_is_written() {
        let (give, orders) = mpsc::channel(8);
        for order in [
            request(r#"{"id":1}"#),
            Order::Abandon(1),
            Order::Speak(Revision::LATEST),
            message("{\n  \"a\":\r\n \"b\\n\"}"),
        ] {
            give.send(order).await.unwrap();
        }
        drop(give);
        let (input, mut child) = tokio::io::duplex(4);
        let mut text = String::new();
        let (written, read) = tokio::join!(write(input, orders), child.read_to_string(&mut text));
        read.unwrap();
        assert_eq!(written, Written::All);
        assert_eq!(text, "{\"id\":1}\n{   \"a\":   \"b\\n\"}\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_reads_nothing_holds_nobody_for_ever() {
        let (give, orders) = mpsc::channel(4);
        let (input, child) = tokio::io::duplex(16);
        let large = "x".repeat(ROOM / 2);
        let feed = async {
            let mut given = 0;
            while timeout(Duration::from_secs(5), give.send(message(&large))).await.is_ok() {
                given += 1;
            }
            drop(give);
            given
        };
        let (written, given) = tokio::join!(write(input, orders), feed);
        assert_eq!(written, Written::All);
        assert!((4..=12).contains(&given), "{given}");
        drop(child);
    }

    #[tokio::test]
    async fn a_child_that_closes_its_input_is_told_of() {
        let (give, orders) = mpsc::channel(4);
        let (input, child) = tokio::io::duplex(16);
        drop(child);
        give.send(message("{}")).await.unwrap();
        assert_eq!(write(input, orders).await, Written::Refused);
    }
}
