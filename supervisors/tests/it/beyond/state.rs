//! A child's state is gone before the next incarnation of it starts, however the child ended.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use supervisors::{ChildSpec, ExitReason, Link, Shutdown, Slot, Strategy};
use tokio::sync::mpsc;

use super::{Alive, One, tireless, until};

const ROUNDS: u32 = 300;

/// State whose end takes long, and sometimes panics.
struct Slow {
    one: Option<One>,
    ends: Arc<AtomicU32>,
}

impl Slow {
    fn new(alive: &Alive, ends: &Arc<AtomicU32>) -> Self {
        Self { one: Some(alive.one()), ends: ends.clone() }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        // Long enough for the other threads to go wrong.
        for _ in 0..2_000 {
            std::hint::spin_loop();
        }
        std::thread::yield_now();
        self.one = None;
        let nth = self.ends.fetch_add(1, SeqCst);
        assert!(!nth.is_multiple_of(3) || std::thread::panicking(), "the state's end");
    }
}

#[derive(Clone, Copy)]
enum End {
    Panic,
    Fail,
    Return,
}

const ENDS: [End; 3] = [End::Panic, End::Fail, End::Return];

impl End {
    fn play(self) -> Result<(), ActorProcessingErr> {
        match self {
            Self::Panic => panic!("told to"),
            Self::Fail => Err("told to".into()),
            Self::Return => Ok(()),
        }
    }
}

struct Owner(Alive, Arc<AtomicU32>);

impl Actor for Owner {
    type Msg = End;
    type State = Slow;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<End>, (): ()) -> Result<Slow, ActorProcessingErr> {
        Ok(Slow::new(&self.0, &self.1))
    }

    async fn handle(
        &self,
        myself: ActorRef<End>,
        end: End,
        _: &mut Slow,
    ) -> Result<(), ActorProcessingErr> {
        myself.stop(None);
        end.play()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_actors() {
    let (alive, ends, slot) = (Alive::default(), Arc::new(AtomicU32::new(0)), Slot::new());
    let make = (alive.clone(), ends.clone());
    let spec = ChildSpec::actor("a", move || (Owner(make.0.clone(), make.1.clone()), ()));
    let root = tireless(Strategy::OneForOne).child(spec.slot(&slot)).start().await.unwrap();
    for round in 1..=ROUNDS {
        let actor = slot.wait().await;
        match round % 5 {
            0 => actor.kill(),
            1 => actor.stop(Some("killed".into())),
            n => actor.cast(ENDS[n as usize - 2]).unwrap(),
        }
        let other = async || slot.get().is_some_and(|now| now.get_id() != actor.get_id());
        until(&format!("the end of round {round}"), other).await;
        assert_eq!(alive.most(), 1, "round {round}");
    }
    assert_eq!(root.which_child("a").await.unwrap().run, ROUNDS + 1);
    root.stop(ExitReason::Shutdown).await;
    assert_eq!((alive.now(), alive.most(), alive.ever()), (0, 1, ROUNDS as usize + 1));
}

/// A future that keeps its state when it is done, where an async block drops it at once.
struct Keeper {
    _slow: Slow,
    told: mpsc::UnboundedReceiver<End>,
}

impl Future for Keeper {
    type Output = Result<(), ActorProcessingErr>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.told.poll_recv(cx).map(|end| end.map_or(Ok(()), End::play))
    }
}

/// A task that ends as it is told by what it offers.
fn task(alive: &Alive, ends: &Arc<AtomicU32>) -> ChildSpec<(u32, mpsc::UnboundedSender<End>)> {
    let (alive, ends) = (alive.clone(), ends.clone());
    ChildSpec::new("a", move |link: Link| {
        let (alive, ends, run) = (alive.clone(), ends.clone(), link.run());
        async move {
            let (tell, mut told) = mpsc::unbounded_channel::<End>();
            let child = if run.is_multiple_of(2) {
                link.task(Keeper { _slow: Slow::new(&alive, &ends), told })?
            } else {
                link.task(async move {
                    let _slow = Slow::new(&alive, &ends);
                    told.recv().await.map_or(Ok(()), End::play)
                })?
            };
            Ok(child.map(|()| (run, tell)))
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_tasks() {
    let (alive, ends, slot) = (Alive::default(), Arc::new(AtomicU32::new(0)), Slot::new());
    for (shutdown, strategy) in [
        (Shutdown::BrutalKill, Strategy::OneForOne),
        (Shutdown::Timeout(super::secs(5)), Strategy::OneForAll),
    ] {
        let spec = task(&alive, &ends).shutdown(shutdown).slot(&slot);
        let root = tireless(strategy).child(spec).start().await.unwrap();
        for round in 1..=ROUNDS {
            let (run, tell) = slot.wait().await;
            assert_eq!(run, round);
            match round % 5 {
                0 | 4 => {
                    root.terminate_child("a").await.unwrap();
                    assert_eq!(alive.now(), 0, "round {round}");
                    root.restart_child("a").await.unwrap();
                }
                n => tell.send(ENDS[n as usize - 1]).unwrap(),
            }
            let other = async || slot.get().is_some_and(|(run, _)| run > round);
            until(&format!("the end of round {round}"), other).await;
            assert_eq!(alive.most(), 1, "round {round}");
        }
        root.stop(ExitReason::Shutdown).await;
        assert_eq!((alive.now(), alive.most()), (0, 1));
    }
}
