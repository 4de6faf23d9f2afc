//! What is wanted of work that has begun: that it goes on, or that it comes to an end, and how.

use std::future::pending;

use tokio::sync::watch;

/// What is wanted; each is more urgent than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Course {
    /// Nothing changes.
    #[default]
    GoOn,
    /// Nothing more is begun; what has begun ends in its own time.
    Retire,
    /// What has begun ends soon, and what it leaves another agent takes up.
    HandOver,
    /// What has begun ends now, and nobody takes it up.
    Cancel,
    /// The same, because its time is over.
    Expire,
}

/// Comes when this, or something more urgent, is wanted; never where nobody can want it any more.
pub(super) async fn wanted(mut course: watch::Receiver<Course>, what: Course) {
    if course.wait_for(|now| *now >= what).await.is_err() {
        pending::<()>().await;
    }
}
