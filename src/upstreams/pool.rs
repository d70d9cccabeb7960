//! Which instances run for whom. Whoever calls reads it without asking an actor; it lives above the
//! keeper, so that a call that waits for an instance survives a crash of the keeper.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::machine::MemberId;
use crate::protocol::RpcError;
use crate::provider::Circle;

/// What is picked by how busy it is.
pub trait Busy: Send + Sync + 'static {
    /// Calls under way.
    fn in_flight(&self) -> usize;
}

/// Whether an instance of a circle may be waited for.
#[derive(Debug, Clone)]
pub enum Hope {
    /// One is on its way.
    Coming,
    /// None is, for this reason.
    Gone(RpcError),
}

/// The instances of one circle.
struct Place<C> {
    seats: Mutex<Vec<(MemberId, Arc<C>)>>,
    hope: watch::Sender<Hope>,
    /// When one was last asked for, in milliseconds since the pool's birth.
    used_ms: AtomicU64,
}

impl<C> Place<C> {
    fn new(now_ms: u64) -> Self {
        let hope = watch::Sender::new(Hope::Coming);
        Self { seats: Mutex::default(), hope, used_ms: AtomicU64::new(now_ms) }
    }

    fn seats(&self) -> MutexGuard<'_, Vec<(MemberId, Arc<C>)>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Places<C> = HashMap<Circle, Arc<Place<C>>>;

/// The running instances of one upstream, by who shares them. Clones share it.
pub struct Pool<C>(Arc<Inner<C>>);

struct Inner<C> {
    born: Instant,
    places: RwLock<Places<C>>,
}

impl<C> Clone for Pool<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Self(Arc::new(Inner { born: Instant::now(), places: RwLock::default() }))
    }
}

/// What a circle has.
pub enum Found<C> {
    /// An instance.
    Seated(Arc<C>),
    /// None now. This says whether one may come, and closes where the circle is dropped.
    Waiting(watch::Receiver<Hope>),
    /// There are too many circles already.
    Full,
}

/// An instance that is found until this is dropped.
pub struct Seated<C> {
    pool: Pool<C>,
    circle: Circle,
    member: MemberId,
}

impl<C> Drop for Seated<C> {
    fn drop(&mut self) {
        let place = self.pool.places().get(&self.circle).cloned();
        if let Some(place) = place {
            place.seats().retain(|(member, _)| *member != self.member);
        }
    }
}

impl<C: Busy> Pool<C> {
    /// The least busy instance of a circle. A circle that isn't known gets a place, where there
    /// are fewer than `max`.
    pub fn find(&self, circle: &Circle, max: usize) -> Found<C> {
        if let Some(place) = self.places().get(circle) {
            return self.look(place);
        }
        let mut places = self.places_mut();
        if !places.contains_key(circle) && places.len() >= max {
            return Found::Full;
        }
        let new = || Arc::new(Place::new(self.now_ms()));
        self.look(places.entry(circle.clone()).or_insert_with(new))
    }

    fn look(&self, place: &Place<C>) -> Found<C> {
        place.used_ms.store(self.now_ms(), Ordering::Relaxed);
        // Before the seats are looked at: who comes between the two is told of.
        let hope = place.hope.subscribe();
        let seats = place.seats();
        match seats.iter().min_by_key(|(_, connection)| connection.in_flight()) {
            Some((_, connection)) => Found::Seated(Arc::clone(connection)),
            None => Found::Waiting(hope),
        }
    }

    /// An instance serves a circle until what this gives is dropped.
    pub fn seat(&self, circle: Circle, member: MemberId, connection: Arc<C>) -> Seated<C> {
        let place = self.place(&circle);
        place.seats().push((member, connection));
        place.hope.send_replace(Hope::Coming);
        Seated { pool: self.clone(), circle, member }
    }

    /// Tells whoever waits for an instance of a circle whether that makes sense.
    pub fn hope(&self, circle: &Circle, hope: Hope) {
        self.place(circle).hope.send_replace(hope);
    }

    /// A circle has no members any more.
    pub fn remove(&self, circle: &Circle) {
        self.places_mut().remove(circle);
    }

    /// Whether a circle has a place.
    pub fn knows(&self, circle: &Circle) -> bool {
        self.places().contains_key(circle)
    }

    /// Forgets all circles: their members are gone, and who waits for one has to ask again.
    pub fn clear(&self) {
        self.places_mut().clear();
    }

    /// Circles that nobody used for `limit`, and whose instances do nothing.
    pub fn idle(&self, limit: Duration) -> Vec<Circle> {
        let (now_ms, limit_ms) = (self.now_ms(), millis(limit));
        let is_idle = |place: &Place<C>| {
            now_ms.saturating_sub(place.used_ms.load(Ordering::Relaxed)) >= limit_ms
                && place.seats().iter().all(|(_, connection)| connection.in_flight() == 0)
        };
        let places = self.places();
        places.iter().filter(|(_, place)| is_idle(place)).map(|(c, _)| c.clone()).collect()
    }

    /// All instances.
    pub fn all(&self) -> Vec<(MemberId, Arc<C>)> {
        let places = self.places();
        let mut all: Vec<_> = places.values().flat_map(|place| place.seats().clone()).collect();
        all.sort_unstable_by_key(|(member, _)| *member);
        all
    }

    fn place(&self, circle: &Circle) -> Arc<Place<C>> {
        let new = || Arc::new(Place::new(self.now_ms()));
        Arc::clone(self.places_mut().entry(circle.clone()).or_insert_with(new))
    }

    fn now_ms(&self) -> u64 {
        millis(self.0.born.elapsed())
    }
}

impl<C> Pool<C> {
    fn places(&self) -> RwLockReadGuard<'_, Places<C>> {
        self.0.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn places_mut(&self) -> RwLockWriteGuard<'_, Places<C>> {
        self.0.places.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Instance(AtomicUsize);

    impl Busy for Instance {
        fn in_flight(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    const LIMIT: Duration = Duration::from_secs(60);

    fn ann() -> Circle {
        Circle::Principal("ann".into())
    }

    fn found(pool: &Pool<Instance>, circle: &Circle) -> Option<Arc<Instance>> {
        match pool.find(circle, 2) {
            Found::Seated(instance) => Some(instance),
            Found::Waiting(_) | Found::Full => None,
        }
    }

    #[test]
    fn the_least_busy_is_picked_as_long_as_it_is_seated() {
        let (pool, one, two) = (Pool::default(), Arc::default(), Arc::<Instance>::default());
        let first = pool.seat(Circle::All, MemberId(1), Arc::clone(&one));
        let _second = pool.seat(Circle::All, MemberId(2), Arc::clone(&two));
        one.0.store(1, Ordering::Relaxed);
        assert!(Arc::ptr_eq(&found(&pool, &Circle::All).unwrap(), &two));
        two.0.store(2, Ordering::Relaxed);
        assert!(Arc::ptr_eq(&found(&pool, &Circle::All).unwrap(), &one));
        drop(first);
        assert!(Arc::ptr_eq(&found(&pool, &Circle::All).unwrap(), &two));
        assert_eq!(pool.all().len(), 1);
    }

    #[tokio::test]
    async fn all_of_a_circle_wait_for_its_instance() {
        let pool = Pool::<Instance>::default();
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let Found::Waiting(hope) = pool.find(&ann(), 2) else { panic!("none yet") };
            waiting.push(hope);
        }
        let _seated = pool.seat(ann(), MemberId(1), Arc::default());
        for mut hope in waiting {
            hope.changed().await.unwrap();
        }
        assert!(found(&pool, &ann()).is_some());
        assert!(found(&pool, &Circle::Principal("bob".into())).is_none(), "it isn't his");
    }

    #[tokio::test]
    async fn who_waits_learns_that_it_is_in_vain() {
        let pool = Pool::<Instance>::default();
        let Found::Waiting(mut hope) = pool.find(&ann(), 2) else { panic!("none yet") };
        pool.hope(&ann(), Hope::Gone(RpcError::upstream_down("git", "quarantined", "it crashed")));
        hope.changed().await.unwrap();
        assert!(matches!(&*hope.borrow_and_update(), Hope::Gone(_)));
        pool.clear();
        assert!(hope.changed().await.is_err());
    }

    #[test]
    fn circles_are_bounded() {
        let pool = Pool::<Instance>::default();
        for (name, is_full) in [("a", false), ("b", false), ("c", true), ("a", false)] {
            let found = pool.find(&Circle::Session(name.into()), 2);
            assert_eq!(matches!(found, Found::Full), is_full, "{name}");
        }
        pool.remove(&Circle::Session("a".into()));
        assert!(matches!(pool.find(&Circle::Session("c".into()), 2), Found::Waiting(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_nobody_uses_are_idle() {
        let (pool, busy) = (Pool::default(), Arc::<Instance>::default());
        let _ann = pool.seat(ann(), MemberId(1), Arc::clone(&busy));
        let _all = pool.seat(Circle::All, MemberId(2), Arc::default());
        assert_eq!(pool.idle(LIMIT), []);
        tokio::time::advance(LIMIT).await;
        found(&pool, &Circle::All).unwrap();
        assert_eq!(pool.idle(LIMIT), [ann()]);
        busy.0.store(1, Ordering::Relaxed);
        assert_eq!(pool.idle(LIMIT), []);
    }
}
