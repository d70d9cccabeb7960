//! A table with an order: keyed access, removal and both neighbours in constant time.

use std::sync::atomic::{AtomicU32, Ordering};

use super::ChildKey;

/// Numbers supervisors, so that a key of one means nothing to another.
static SUPERVISORS: AtomicU32 = AtomicU32::new(0);

/// Values in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Roster<T> {
    supervisor: u32,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    first: Option<u32>,
    last: Option<u32>,
    len: usize,
}

#[derive(Debug)]
struct Slot<T> {
    /// How often the slot was used before; a key of an earlier use matches nothing.
    life: u32,
    previous: Option<u32>,
    next: Option<u32>,
    value: Option<T>,
}

impl<T> Roster<T> {
    pub(crate) fn new() -> Self {
        Self {
            supervisor: SUPERVISORS.fetch_add(1, Ordering::Relaxed),
            slots: Vec::new(),
            free: Vec::new(),
            first: None,
            last: None,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the key was given out by this roster, at whatever time.
    pub(crate) fn issued(&self, key: ChildKey) -> bool {
        key.supervisor == self.supervisor
    }

    pub(crate) fn push(&mut self, value: T) -> ChildKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { life: 0, previous: None, next: None, value: None });
            // 2^32 slots would need more memory than there is.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let mut life = 0;
        if let Some(entry) = self.slots.get_mut(slot as usize) {
            entry.value = Some(value);
            life = entry.life;
        }
        self.link_last(slot);
        self.len += 1;
        ChildKey { supervisor: self.supervisor, slot, life }
    }

    pub(crate) fn remove(&mut self, key: ChildKey) -> Option<T> {
        let entry = self.entry_mut(key)?;
        let value = entry.value.take();
        // A slot whose lives are used up stays empty, so that no key ever comes back.
        let again = entry.life.checked_add(1);
        entry.life = again.unwrap_or(entry.life);
        self.unlink(key.slot);
        if again.is_some() {
            self.free.push(key.slot);
        }
        self.len -= 1;
        value
    }

    pub(crate) fn move_last(&mut self, key: ChildKey) {
        if self.entry(key).is_some() {
            self.unlink(key.slot);
            self.link_last(key.slot);
        }
    }

    pub(crate) fn get(&self, key: ChildKey) -> Option<&T> {
        self.entry(key)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: ChildKey) -> Option<&mut T> {
        self.entry_mut(key)?.value.as_mut()
    }

    pub(crate) fn first(&self) -> Option<ChildKey> {
        self.key_of(self.first?)
    }

    pub(crate) fn last(&self) -> Option<ChildKey> {
        self.key_of(self.last?)
    }

    pub(crate) fn next(&self, key: ChildKey) -> Option<ChildKey> {
        self.key_of(self.entry(key)?.next?)
    }

    pub(crate) fn previous(&self, key: ChildKey) -> Option<ChildKey> {
        self.key_of(self.entry(key)?.previous?)
    }

    /// In the order of addition.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ChildKey, &T)> {
        std::iter::successors(self.first(), |&key| self.next(key))
            .filter_map(|key| self.get(key).map(|value| (key, value)))
    }

    fn entry(&self, key: ChildKey) -> Option<&Slot<T>> {
        let entry = self.slots.get(key.slot())?;
        (self.issued(key) && entry.life == key.life && entry.value.is_some()).then_some(entry)
    }

    fn entry_mut(&mut self, key: ChildKey) -> Option<&mut Slot<T>> {
        let issued = self.issued(key);
        let entry = self.slots.get_mut(key.slot())?;
        (issued && entry.life == key.life && entry.value.is_some()).then_some(entry)
    }

    fn key_of(&self, slot: u32) -> Option<ChildKey> {
        let life = self.slots.get(slot as usize)?.life;
        Some(ChildKey { supervisor: self.supervisor, slot, life })
    }

    fn link_last(&mut self, slot: u32) {
        let before = self.last.replace(slot);
        if let Some(entry) = self.slots.get_mut(slot as usize) {
            entry.previous = before;
            entry.next = None;
        }
        match before.and_then(|at| self.slots.get_mut(at as usize)) {
            Some(entry) => entry.next = Some(slot),
            None => self.first = Some(slot),
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let (previous, next) = (entry.previous.take(), entry.next.take());
        match previous.and_then(|at| self.slots.get_mut(at as usize)) {
            Some(entry) => entry.next = next,
            None => self.first = next,
        }
        match next.and_then(|at| self.slots.get_mut(at as usize)) {
            Some(entry) => entry.previous = previous,
            None => self.last = previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(roster: &Roster<char>) -> String {
        let forth: String = roster.iter().map(|(_, value)| value).collect();
        let back: String = std::iter::successors(roster.last(), |&key| roster.previous(key))
            .filter_map(|key| roster.get(key))
            .collect();
        assert_eq!(back, forth.chars().rev().collect::<String>(), "both directions agree");
        assert_eq!(roster.len(), forth.len());
        forth
    }

    #[test]
    fn keeps_its_order() {
        let mut roster = Roster::new();
        let [a, b, c, d] = ['a', 'b', 'c', 'd'].map(|value| roster.push(value));
        assert_eq!(values(&roster), "abcd");
        assert_eq!(roster.remove(b), Some('b'));
        assert_eq!(values(&roster), "acd");
        roster.move_last(a);
        assert_eq!(values(&roster), "cda");
        roster.push('e');
        assert_eq!(values(&roster), "cdae");
        for key in [c, d, a] {
            roster.remove(key);
        }
        assert_eq!(values(&roster), "e");
    }

    #[test]
    fn a_key_of_an_earlier_life_or_of_another_roster_matches_nothing() {
        let mut roster = Roster::new();
        let old = roster.push('a');
        assert_eq!(roster.remove(old), Some('a'));
        let new = roster.push('b');
        assert_eq!((old.slot, roster.get(old)), (new.slot, None));
        assert_eq!(roster.remove(old), None);
        assert!(roster.issued(old));
        let other: Roster<char> = Roster::new();
        assert_eq!((other.get(new), other.issued(new)), (None, false));
    }
}
