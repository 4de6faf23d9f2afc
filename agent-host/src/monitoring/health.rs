//! How the parts of the agent are, and since when.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// A part that can be unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The store does not answer, or takes no changes.
    Store,
    /// Nothing looks for what is due.
    Worker,
    /// This machine's clock differs from that of a shared store, by which other agents go too.
    Clock,
    /// The settings as they are now cannot be used; the former ones go on, so the agent is ready all the same.
    Settings,
}

/// A part that is unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ailment {
    /// Which.
    pub part: Part,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
}

/// How the parts are.
#[derive(Debug, Default)]
pub struct Health {
    unwell: Mutex<Unwell>,
    turns: AtomicU64,
}

#[derive(Debug, Default)]
struct Unwell {
    ailments: Vec<Ailment>,
    /// Whether a change was not kept, and none was kept since.
    is_store_full: bool,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Store, Self::Worker, Self::Clock, Self::Settings];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Worker => "worker",
            Self::Clock => "clock",
            Self::Settings => "settings",
        }
    }

    /// Whether the agent cannot do its work without it.
    pub const fn is_needed(self) -> bool {
        !matches!(self, Self::Settings)
    }
}

impl Health {
    /// The part is unwell; whether it was well before.
    pub fn is_unwell(&self, part: Part, now_ms: i64) -> bool {
        self.look().add(part, now_ms)
    }

    /// The part is well; whether it was unwell before. A store that answers and has not kept a change stays unwell.
    pub fn is_well(&self, part: Part) -> bool {
        let mut unwell = self.look();
        let is_full = part == Part::Store && unwell.is_store_full;
        !is_full && unwell.remove(part)
    }

    /// The store has not kept a change: it is unwell until it keeps one, whatever it answers. Whether it was well before.
    pub fn is_not_kept(&self, now_ms: i64) -> bool {
        let mut unwell = self.look();
        unwell.is_store_full = true;
        unwell.add(Part::Store, now_ms)
    }

    /// The store has kept a change; whether it was unwell because it had kept none.
    pub fn is_kept(&self) -> bool {
        let mut unwell = self.look();
        std::mem::take(&mut unwell.is_store_full) && unwell.remove(Part::Store)
    }

    /// The parts that are unwell.
    pub fn ailments(&self) -> Vec<Ailment> {
        self.look().ailments.clone()
    }

    /// Whether the agent can do its work.
    pub fn is_ready(&self) -> bool {
        !self.ailments().iter().any(|ailment| ailment.part.is_needed())
    }

    /// What looks for work has looked once more.
    pub fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    fn look(&self) -> MutexGuard<'_, Unwell> {
        self.unwell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unwell {
    fn add(&mut self, part: Part, now_ms: i64) -> bool {
        let is_new = !self.ailments.iter().any(|ailment| ailment.part == part);
        if is_new {
            self.ailments.push(Ailment { part, since_ms: now_ms });
        }
        is_new
    }

    fn remove(&mut self, part: Part) -> bool {
        let before = self.ailments.len();
        self.ailments.retain(|ailment| ailment.part != part);
        self.ailments.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ailment_counts_from_its_beginning_and_the_settings_stop_nobody() {
        let health = Health::default();
        assert!(health.is_unwell(Part::Settings, 1) && health.is_ready());
        assert!(health.is_unwell(Part::Store, 5) && !health.is_unwell(Part::Store, 9) && !health.is_ready());
        assert_eq!(health.ailments()[1], Ailment { part: Part::Store, since_ms: 5 });
        assert!(health.is_well(Part::Store) && !health.is_well(Part::Store) && health.is_ready());
    }
    #[test]
    fn a_store_that_keeps_nothing_is_unwell_however_well_it_answers() {
        let health = Health::default();
        assert!(health.is_not_kept(1) && !health.is_not_kept(2) && !health.is_well(Part::Store));
        assert!(!health.is_ready() && health.is_kept() && !health.is_kept() && health.is_ready());
        assert!(health.is_unwell(Part::Store, 3) && !health.is_kept(), "it does not answer");
        assert!(health.is_well(Part::Store) && health.is_ready());
    }
}
