//! A request under way: admitted by the governor, counted, and told about however it ends.

use std::{collections::BTreeMap, time::Duration};

use connector_api::{BucketTraffic, TableProgress};

use super::{Client, Sending, millis};
use crate::governor::{Admission, Ending, Governor, Lane};

/// What is counted over all requests.
pub(super) struct State {
    pub(super) governor: Governor,
    pub(super) traffic: BTreeMap<&'static str, BucketTraffic>,
    /// Since when the bucket is used up and something waits for it, and until when.
    pub(super) waits: BTreeMap<&'static str, (Duration, Duration)>,
    pub(super) tables: BTreeMap<String, TableProgress>,
    pub(super) throttled: u64,
    pub(super) has_succeeded: bool,
}

impl State {
    pub(super) fn admit(&mut self, request: &Sending<'_>, now: Duration) -> Admission {
        let admission = self.governor.admit(request.bucket, request.lane, millis(now));
        match admission {
            Admission::Go => {
                let traffic = self.traffic.entry(request.bucket).or_default();
                traffic.requests += 1;
                if let Some((since, _)) = self.waits.remove(request.bucket) {
                    traffic.waited += now.saturating_sub(since);
                }
            }
            Admission::At(time) => {
                let until = Duration::from_millis(time);
                self.waits.entry(request.bucket).or_insert((now, until)).1 = until;
            }
            Admission::AfterAnswer => {}
        }
        admission
    }
}

/// A request under way; dropped without an end, it counts as lost.
pub(super) struct Flight<'a> {
    client: &'a Client,
    bucket: &'static str,
    lane: Lane,
    sent: u64,
    ended: bool,
}

impl<'a> Flight<'a> {
    pub(super) fn begun(client: &'a Client, request: &Sending<'_>, now: Duration) -> Self {
        Self { client, bucket: request.bucket, lane: request.lane, sent: millis(now), ended: false }
    }

    /// Counts the answer that has come.
    pub(super) fn answered(&self, status: u16) {
        *self.client.state().traffic.entry(self.bucket).or_default().statuses.entry(status).or_default() += 1;
    }

    pub(super) fn end(mut self, ending: Ending) -> Option<Duration> {
        self.ended = true;
        self.tell(ending)
    }

    fn tell(&self, ending: Ending) -> Option<Duration> {
        let now = millis(self.client.clock.now());
        let mut state = self.client.state();
        state.throttled += u64::from(matches!(ending, Ending::Refused(_)));
        let wait = state.governor.end(self.bucket, self.lane, self.sent, now, ending);
        drop(state);
        self.client.ended.notify_waiters();
        wait
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(Ending::Lost);
        }
    }
}
