//! Work that is done only while a lease is ours, on whatever machine others would do it.
//!
//! The store says whose a lease is; a keeper renews it. Work passes a `Gate`, which closes when the last renewal is too
//! long ago: a process that was stopped finds it closed when it wakes, before it sends or publishes anything, and the
//! next renewal opens it again or ends the work. The clock of the gate goes on while the process is stopped.

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use futures::task::AtomicWaker;

use crate::{
    settings::Settings,
    store::{Fence, Store},
};

/// What leases and runs need of the time: milliseconds since 1970.
pub type Clock = fn() -> i64;

/// How long a lease lasts that nobody renews, where the settings do not say.
const LEASE_SECONDS: u64 = 30;
/// Between two signs of life at the most.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How long a lease lasts that nobody renews.
#[derive(Debug, Clone, Copy)]
pub struct Length(Duration);

/// Open for some time after each renewal.
#[derive(Debug)]
pub(crate) struct Gate {
    /// By the gate's own clock, in milliseconds.
    open_until: AtomicU64,
    waker: AtomicWaker,
}

/// A lease in the store that is ours.
#[derive(Debug, Clone)]
pub struct Held {
    store: Store,
    fence: Fence,
    clock: Clock,
    length: Length,
    taken: Moment,
}

/// A time by the clock of gates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(u64);

/// Somebody else has the lease now.
#[derive(Debug)]
pub struct LeaseLost(String);

impl Length {
    /// As the settings say.
    ///
    /// # Errors
    /// Of kind `Settings` where they say nothing sensible.
    pub fn of(settings: &Settings) -> connector_api::Result<Self> {
        let seconds = settings.section(&["Jobs"]).number("LeaseSeconds", LEASE_SECONDS, 3..=600)?;
        Ok(Self(Duration::from_secs(seconds)))
    }

    /// Until when a lease lasts that is taken or renewed now.
    pub(crate) fn until_ms(self, now_ms: i64) -> i64 {
        now_ms + i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// What the store says; an error where it does not answer in time for another try.
    pub(crate) async fn answered<T>(self, question: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        match tokio::time::timeout(self.0 / 3, question).await {
            Ok(answer) => answer,
            Err(_) => anyhow::bail!("the store does not answer"),
        }
    }

    /// Between two renewals.
    pub(crate) fn heartbeat(self) -> Duration {
        HEARTBEAT.min(self.0 / 5)
    }
}

impl Gate {
    /// Open, because the lease was taken at this moment.
    pub(crate) fn new(taken: Moment, length: Length) -> Self {
        let gate = Self { open_until: AtomicU64::new(0), waker: AtomicWaker::new() };
        gate.renewed(taken, length);
        gate
    }

    /// Opens for some time: the lease was renewed by what was sent to the store at this moment. Others' clocks may be
    /// ahead of ours, so that not all of the lease is used.
    pub(crate) fn renewed(&self, at: Moment, length: Length) {
        let open_for = u64::try_from((length.0 * 2 / 3).as_millis()).unwrap_or(u64::MAX);
        self.open_until.fetch_max(at.0.saturating_add(open_for), Ordering::AcqRel);
        self.waker.wake();
    }

    /// Lets the work go on while the gate is open.
    pub(crate) async fn pass<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|context| self.poll(work.as_mut(), context)).await
    }

    fn poll<F: Future>(&self, work: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
        if !self.is_open() {
            self.waker.register(context.waker());
            if !self.is_open() {
                return Poll::Pending;
            }
        }
        work.poll(context)
    }

    fn is_open(&self) -> bool {
        Moment::now().0 < self.open_until.load(Ordering::Acquire)
    }
}

impl Held {
    /// Takes the lease of this name; none where somebody else has it.
    ///
    /// # Errors
    /// Where the store fails.
    async fn take(
        store: &Store,
        name: String,
        holder: &str,
        clock: Clock,
        length: Length,
    ) -> anyhow::Result<Option<Self>> {
        let fence = Fence { name, holder: holder.to_owned() };
        let (taken, now) = (Moment::now(), clock());
        let is_ours = store.take_lease(&fence, now, length.until_ms(now)).await?;
        Ok(is_ours.then(|| Self { store: store.clone(), fence, clock, length, taken }))
    }

    /// By what the store knows that notes are ours.
    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Does the work and lets go of the lease; ends it where the lease is lost.
    ///
    /// # Errors
    /// [`LeaseLost`]; those of the work.
    async fn during<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let gate = Gate::new(self.taken, self.length);
        let done = tokio::select! {
            // The lease first: what is no longer ours is not carried on with.
            biased;
            lost = self.keep(&gate) => return Err(lost.into()),
            done = gate.pass(work) => done,
        };
        if let Err(error) = self.store.drop_lease(&self.fence).await {
            tracing::warn!(lease = self.fence.name, "the lease ends by its time: {error:#}");
        }
        done
    }

    /// Sees in the store that the lease is ours, before what cannot be taken back.
    ///
    /// # Errors
    /// [`LeaseLost`]; where the store fails.
    pub(crate) async fn confirm(&self) -> anyhow::Result<()> {
        let until = self.length.until_ms((self.clock)());
        match self.store.renew_lease(&self.fence, until).await? {
            true => Ok(()),
            false => Err(LeaseLost(self.fence.name.clone()).into()),
        }
    }

    /// Renews until the lease is lost. A store that fails is asked again: the gate is closed meanwhile.
    async fn keep(&self, gate: &Gate) -> LeaseLost {
        let mut is_well = true;
        loop {
            tokio::time::sleep(self.length.heartbeat()).await;
            let asked = Moment::now();
            let renewed = self.store.renew_lease(&self.fence, self.length.until_ms((self.clock)()));
            match self.length.answered(renewed).await {
                Ok(true) => {
                    gate.renewed(asked, self.length);
                    is_well = true;
                }
                Ok(false) => return LeaseLost(self.fence.name.clone()),
                Err(error) if is_well => {
                    is_well = false;
                    tracing::warn!(lease = self.fence.name, "cannot be renewed, the work may have to wait: {error:#}");
                }
                Err(_) => {}
            }
        }
    }
}

/// How a lease is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The store, which may be shared.
    pub store: &'a Store,
    /// Who asks; nobody else has the same name.
    pub holder: &'a str,
    /// The time.
    pub clock: Clock,
    /// How long it is to last without a renewal.
    pub length: Length,
}

impl Wish<'_> {
    /// Does the work of this name while no other agent does; where the store is nobody else's, right away.
    ///
    /// # Errors
    /// What `busy` says where somebody else is at it; [`LeaseLost`]; those of the work.
    pub(crate) async fn alone<T>(
        &self,
        name: String,
        busy: impl FnOnce() -> anyhow::Error,
        work: impl AsyncFnOnce(Option<Held>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if !self.store.is_shared() {
            return work(None).await;
        }
        let held = Held::take(self.store, name, self.holder, self.clock, self.length).await?.ok_or_else(busy)?;
        held.during(work(Some(held.clone()))).await
    }
}

impl fmt::Display for LeaseLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another agent has taken over `{}`, because this one was silent for too long", self.0)
    }
}

impl std::error::Error for LeaseLost {}

impl Moment {
    /// Before all others.
    pub(crate) fn none() -> Self {
        Self(0)
    }

    /// The time since then.
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_millis(Self::now().0.saturating_sub(self.0))
    }

    /// Goes on while the process is stopped and while the machine sleeps.
    #[cfg(target_os = "linux")]
    pub(crate) fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let millis = time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000);
        Self(u64::try_from(millis).unwrap_or(0))
    }

    /// Goes on while the process is stopped.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn now() -> Self {
        static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let began = *BEGAN.get_or_init(std::time::Instant::now);
        Self(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn nothing_passes_a_gate_whose_last_renewal_is_too_long_ago() {
        let length = Length(Duration::from_secs(30));
        let before = |ms: u64| Moment(Moment::now().0.saturating_sub(ms));
        let gate = Gate::new(before(20_100), length);
        let mut steps = 0;
        {
            let mut work = Box::pin(gate.pass(async {
                steps += 1;
                "done"
            }));
            assert!((&mut work).now_or_never().is_none());
            gate.renewed(before(25_000), length);
            assert!((&mut work).now_or_never().is_none(), "an older renewal opens nothing");
            gate.renewed(before(19_000), length);
            assert_eq!((&mut work).now_or_never(), Some("done"));
        }
        assert_eq!(steps, 1);
    }
}
