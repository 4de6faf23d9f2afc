//! Windows, shares and refusals, on a clock that the tests move.

use super::*;

const BUCKET: &str = "/api/v1/groups";

fn headers(limit: u32, remaining: u32, reset: i64, date: i64) -> LimitHeaders {
    let (limit, remaining, reset, date) = (Some(limit), Some(remaining), Some(reset), Some(date));
    LimitHeaders { limit, remaining, reset, date, retry_after: None }
}

/// A server with fixed windows opened by their first request; its clock is `skew_ms` ahead of ours.
struct Server {
    limit: u32,
    window_ms: u64,
    skew_ms: u64,
    open_until: u64,
    used: u32,
    refused: u32,
}

impl Server {
    fn answer(&mut self, now: u64) -> Ending {
        let now = now + self.skew_ms;
        if now >= self.open_until {
            self.open_until = now + self.window_ms;
            self.used = 0;
        }
        let reset = i64::try_from(self.open_until.div_ceil(1_000)).unwrap();
        let date = i64::try_from(now / 1_000).unwrap();
        if self.used == self.limit {
            self.refused += 1;
            return Ending::Refused(headers(self.limit, 0, reset, date));
        }
        self.used += 1;
        Ending::Answered(headers(self.limit, self.limit - self.used, reset, date))
    }
}

/// Sends `requests` with `latency_ms` each, 12 at once, and returns the time that took.
fn drain(server: &mut Server, share: u32, requests: u32, latency_ms: u64) -> u64 {
    let mut governor = Governor::new(share, 12);
    let (mut now, mut left, mut flying) = (5_300_u64, requests, Vec::<u64>::new());
    while left > 0 || !flying.is_empty() {
        let admission = if left > 0 { governor.admit(BUCKET, Lane::Fan, now) } else { Admission::AfterAnswer };
        match admission {
            Admission::Go => {
                left -= 1;
                flying.push(now);
            }
            Admission::At(time) if flying.is_empty() => now = time,
            _ => {
                let sent = flying.remove(0);
                now = now.max(sent + latency_ms);
                let ending = server.answer(sent + latency_ms / 2);
                if governor.end(BUCKET, Lane::Fan, sent, now, ending).is_some() {
                    left += 1;
                }
            }
        }
    }
    now - 5_300
}

#[test]
fn the_share_is_used_and_no_request_is_refused() {
    for (limit, share, latency) in
        [(250, 90, 220), (500, 90, 5), (50, 90, 300), (100, 50, 220), (10, 90, 900), (600, 100, 30)]
    {
        for skew_ms in [0, 400, 999, 3_600_500] {
            let mut server = Server { limit, window_ms: 60_000, skew_ms, open_until: 0, used: 0, refused: 0 };
            let allowance = limit * share / 100;
            let windows = 20;
            let took = drain(&mut server, share, allowance * windows + 1, latency);
            assert_eq!(server.refused, 0, "limit {limit} share {share} skew {skew_ms}");
            // After that many full windows the last request opens one more.
            let used = f64::from(windows) * 60_000.0 / f64::from(u32::try_from(took).unwrap());
            assert!(used >= 0.95, "limit {limit} share {share} skew {skew_ms}: {used:.3} of the share used");
        }
    }
}

#[test]
fn agents_that_share_a_limit_use_their_parts_and_no_more() {
    for (limit, share, agents) in [(100, 90, 2), (600, 50, 3), (20, 90, 4), (10, 10, 3)] {
        let mut server = Server { limit, window_ms: 60_000, skew_ms: 0, open_until: 0, used: 0, refused: 0 };
        let mut governors: Vec<Governor> = (0..agents).map(|_| Governor::new(share, 12)).collect();
        governors.iter_mut().for_each(|governor| governor.share_among(agents));
        let (mut now, mut sent) = (5_300_u64, vec![0_u32; governors.len()]);
        let ours = limit * share / 100;
        let mut most = 0;
        while now < 300_000 {
            for (governor, sent) in governors.iter_mut().zip(&mut sent) {
                while governor.admit(BUCKET, Lane::Fan, now) == Admission::Go {
                    *sent += 1;
                    let ending = server.answer(now);
                    governor.end(BUCKET, Lane::Fan, now, now, ending);
                }
            }
            most = most.max(server.used);
            now += 50;
        }
        assert_eq!(server.refused, 0, "limit {limit} share {share} agents {agents}");
        assert!(most <= ours.max(agents), "limit {limit} share {share} agents {agents}: {most}");
        let (fewest, greatest) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        assert!(greatest - fewest <= greatest / 4 + 5, "each has its part: {sent:?}");
    }
}

#[test]
fn one_request_goes_alone_until_the_limit_is_known() {
    let mut governor = Governor::new(90, 12);
    assert_eq!(governor.admit(BUCKET, Lane::Fan, 0), Admission::Go);
    assert_eq!(governor.admit(BUCKET, Lane::Fan, 0), Admission::AfterAnswer);
    governor.end(BUCKET, Lane::Fan, 0, 9, Ending::Answered(headers(100, 99, 60, 0)));
    for _ in 0..12 {
        assert_eq!(governor.admit(BUCKET, Lane::Fan, 10), Admission::Go);
    }
    assert_eq!(governor.admit(BUCKET, Lane::Fan, 10), Admission::AfterAnswer);
}

#[test]
fn what_others_use_counts_too() {
    let mut governor = Governor::new(90, 12);
    governor.admit(BUCKET, Lane::Fan, 0);
    governor.end(BUCKET, Lane::Fan, 0, 100, Ending::Answered(headers(100, 10, 1_060, 1_030)));
    assert_eq!(governor.admit(BUCKET, Lane::Fan, 200), Admission::At(100 + 30_000 + MARGIN_MS));
}

#[test]
fn a_refusal_waits_for_reset_by_the_servers_clock() {
    let mut governor = Governor::new(90, 12);
    governor.admit(BUCKET, Lane::Fan, 0);
    let wait = governor.end(BUCKET, Lane::Fan, 0, 7, Ending::Refused(headers(10, 0, 1_757_607_758, 1_757_607_710)));
    assert_eq!(wait, Some(Duration::from_secs(49)));
    assert_eq!(governor.admit(BUCKET, Lane::Fan, 7), Admission::At(49_007));
}

#[test]
fn late_news_of_the_window_before_do_not_count() {
    let mut governor = Governor::new(90, 12);
    governor.admit(BUCKET, Lane::Fan, 0);
    governor.end(BUCKET, Lane::Fan, 0, 100, Ending::Answered(headers(600, 201, 1_060, 1_000)));
    governor.admit(BUCKET, Lane::Fan, 59_900);
    governor.admit(BUCKET, Lane::Fan, 60_100);
    governor.end(BUCKET, Lane::Fan, 60_100, 60_300, Ending::Answered(headers(600, 599, 1_120, 1_060)));
    governor.end(BUCKET, Lane::Fan, 59_900, 60_400, Ending::Answered(headers(600, 61, 1_060, 1_059)));
    assert_eq!(governor.admit(BUCKET, Lane::Fan, 60_500), Admission::Go);
}

#[test]
fn the_busiest_window_is_told_whoever_used_it() {
    let mut governor = Governor::new(90, 12);
    assert_eq!(governor.limit_use(BUCKET), None);
    let answered = |governor: &mut Governor, now, headers| {
        assert_eq!(governor.admit(BUCKET, Lane::Fan, now), Admission::Go);
        governor.end(BUCKET, Lane::Fan, now, now, Ending::Answered(headers));
        governor.limit_use(BUCKET).map(|told| (told.limit, told.most_used))
    };
    assert_eq!(answered(&mut governor, 0, headers(600, 599, 1_060, 1_000)), Some((600, 1)));
    assert_eq!(answered(&mut governor, 9, headers(600, 300, 1_060, 1_000)), Some((600, 300)), "others used 298");
    assert_eq!(answered(&mut governor, 61_009, headers(600, 599, 1_121, 1_061)), Some((600, 300)), "a new window");
    assert_eq!(answered(&mut governor, 61_010, headers(600, 52, 1_060, 1_059)), Some((600, 548)), "late news");
    assert_eq!(answered(&mut governor, 61_011, headers(300, 290, 1_121, 1_061)), Some((300, 10)), "a new limit");
    governor.admit(BUCKET, Lane::Fan, 61_012);
    governor.end(BUCKET, Lane::Fan, 61_012, 61_013, Ending::Refused(headers(300, 7, 1_121, 1_061)));
    assert_eq!(governor.limit_use(BUCKET), Some(LimitUse { limit: 300, most_used: 300 }), "all of it");
    assert_eq!(governor.limit_use("/api/v1/users"), None);
}

#[test]
fn a_system_without_limits_tells_of_none() {
    let mut governor = Governor::new(90, 12);
    governor.admit(BUCKET, Lane::Fan, 0);
    governor.end(BUCKET, Lane::Fan, 0, 1, Ending::Answered(LimitHeaders::default()));
    assert_eq!(governor.limit_use(BUCKET), None);
}

#[test]
fn a_limit_of_nothing_blocks_nothing() {
    let mut governor = Governor::new(90, 12);
    governor.admit(BUCKET, Lane::Fan, 0);
    governor.end(BUCKET, Lane::Fan, 0, 100, Ending::Answered(headers(0, 0, 1_000, 1_000)));
    assert_eq!(governor.admit(BUCKET, Lane::Fan, 90_000), Admission::Go);
}

#[test]
fn nobody_waits_for_what_cannot_be() {
    for (reset, date, retry_after, seconds) in [
        (i64::MAX, 1_000, None, 5),
        (i64::MIN, i64::MAX, None, 5),
        (4_000_000_000, 1_000, None, 3_601),
        (1_060, 1_000, Some(u64::MAX), 3_600),
    ] {
        let mut governor = Governor::new(90, 12);
        governor.admit(BUCKET, Lane::Fan, 0);
        let refusal = LimitHeaders { retry_after, ..headers(10, 0, reset, date) };
        let wait = governor.end(BUCKET, Lane::Fan, 0, 7, Ending::Refused(refusal));
        assert_eq!(wait, Some(Duration::from_secs(seconds)), "{reset} {date}");
        assert!(matches!(governor.admit(BUCKET, Lane::Fan, 7), Admission::At(time) if time <= 3_610_000));
    }
}

#[test]
fn a_refusal_for_parallelism_halves_it_once_and_it_recovers() {
    let mut governor = Governor::new(90, 12);
    governor.admit(BUCKET, Lane::Fan, 0);
    governor.end(BUCKET, Lane::Fan, 0, 1, Ending::Answered(LimitHeaders::default()));
    for _ in 0..12 {
        assert_eq!(governor.admit(BUCKET, Lane::Fan, 2), Admission::Go);
    }
    for _ in 0..12 {
        governor.end(BUCKET, Lane::Fan, 2, 3, Ending::Refused(headers(0, 0, 60, 0)));
    }
    let admitted = |governor: &mut Governor, now| {
        (0..20).filter(|_| governor.admit(BUCKET, Lane::Fan, now) == Admission::Go).count()
    };
    assert_eq!(admitted(&mut governor, 4), 6);
    assert_eq!(admitted(&mut governor, 3 + 2 * RECOVERY_MS), 2, "one more a minute");
}

#[test]
fn a_list_always_finds_a_place() {
    let mut governor = Governor::new(90, 3);
    governor.open_list();
    governor.admit(BUCKET, Lane::List, 0);
    governor.end(BUCKET, Lane::List, 0, 1, Ending::Answered(LimitHeaders::default()));
    let fan = (0..5).filter(|_| governor.admit(BUCKET, Lane::Fan, 2) == Admission::Go).count();
    assert_eq!(fan, 2);
    assert_eq!(governor.admit(BUCKET, Lane::List, 2), Admission::Go);
}
