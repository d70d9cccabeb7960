//! What operators told the node to do.

use tokio::sync::watch;

/// An order; a later one of these is the graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Order {
    /// Finish what is in flight, then stop.
    Drain,
    /// Stop now, in order.
    Stop,
}

/// The gravest order so far; clones share it.
#[derive(Debug, Clone)]
pub struct Orders(watch::Sender<Option<Order>>);

impl Default for Orders {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Orders {
    /// Gives an order. None is ever taken back.
    pub fn give(&self, order: Order) {
        self.0.send_if_modified(|gravest| {
            let graver = Some(order) > *gravest;
            if graver {
                *gravest = Some(order);
            }
            graver
        });
    }

    /// Waits for an order that is graver than this one.
    pub async fn graver_than(&self, order: Option<Order>) -> Order {
        let mut orders = self.0.subscribe();
        match orders.wait_for(|gravest| *gravest > order).await.map(|gravest| *gravest) {
            Ok(Some(order)) => order,
            // The sender is this, and nothing isn't graver than anything.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn an_order_is_only_followed_by_a_graver_one() {
        let orders = Orders::default();
        let next = |after| orders.graver_than(after).now_or_never();
        assert_eq!(next(None), None);
        orders.give(Order::Drain);
        assert_eq!((next(None), next(Some(Order::Drain))), (Some(Order::Drain), None));
        orders.give(Order::Stop);
        orders.give(Order::Drain);
        assert_eq!(next(Some(Order::Drain)), Some(Order::Stop));
        assert_eq!(next(Some(Order::Stop)), None);
    }
}
