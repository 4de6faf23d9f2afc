//! Jobs: what the agent does by itself, when, and what came of it.
//!
//! A job is an integrator's `<Job>` or a section of `Jobs`; its steps are exports and fulfilments of connections. Each
//! execution is a run in the store, whoever asked for it: the schedule, the orders folder or a person. A due time runs
//! once, a missed one late and once; a job never overlaps itself.

mod schedule;
mod sequence;
mod definition;
mod due;
mod log;
mod course;
mod step;
mod run;
mod orders_watch;
mod queue;
mod attempt;
mod worker;

pub use crate::fulfill::Clock;
pub use course::Course;
pub use definition::{Job, Jobs, Kind, Limits, Step};
pub use log::RunLogs;
pub use orders_watch::OrdersWatch;
pub use queue::Queue;
pub use run::count_from_zero;
pub use schedule::Schedule;
pub use worker::Worker;
