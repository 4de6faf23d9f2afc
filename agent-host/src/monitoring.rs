//! What monitoring asks: is the agent well, and what has it done? Each part says how it is; nothing here asks a part.

mod health;
mod metrics;
mod traffic;

pub use health::{Ailment, Health, Part};
pub use metrics::{Family, FigureKind, Metrics, families};
pub use traffic::CountedTraffic;

/// What one process tells of itself.
#[derive(Debug, Default)]
pub struct Monitoring {
    /// How its parts are.
    pub health: Health,
    /// What it has done.
    pub metrics: Metrics,
}
