//! How the parts of the agent are, and since when.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// A part that can be unwell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The store does not answer, or takes no changes.
    Store,
    /// Nothing looks for what is due.
    Worker,
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
    unwell: Mutex<Vec<Ailment>>,
    turns: AtomicU64,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Store, Self::Worker, Self::Settings];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Worker => "worker",
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
        let mut unwell = self.unwell.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !unwell.iter().any(|ailment| ailment.part == part);
        if is_new {
            unwell.push(Ailment { part, since_ms: now_ms });
        }
        is_new
    }

    /// The part is well; whether it was unwell before.
    pub fn is_well(&self, part: Part) -> bool {
        let mut unwell = self.unwell.lock().unwrap_or_else(PoisonError::into_inner);
        let before = unwell.len();
        unwell.retain(|ailment| ailment.part != part);
        unwell.len() < before
    }

    /// The parts that are unwell.
    pub fn ailments(&self) -> Vec<Ailment> {
        self.unwell.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
}
