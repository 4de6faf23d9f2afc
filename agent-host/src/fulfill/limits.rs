//! How much a run may take away: deletions, deactivations and removed links, each against a limit of the connection.
//!
//! A limit is a number for the whole run, or percent of a table's records at the last export with a floor below which
//! it never falls. Over a limit nothing at all is sent; the orders can be approved once, as exactly this set.

use std::{collections::BTreeMap, error::Error as StdError, fmt};

use connector_api::{ConnectionSettings, Error, ErrorKind};
use sha2::{Digest, Sha256};

use super::index::{Losses, hex};
use crate::{
    password_reset::random_text,
    presence::own_machine,
    store::{Approval, ApprovalState, AuditRecord, Offer, Store},
};

/// What a limit in percent never falls below.
const FLOOR: u64 = 10;
/// The limit where none is set: percent, and what it never falls below.
const DEFAULT: Allowed = Allowed::Percent { percent: 20, floor: 100 };
/// How long an approval may be used.
const APPROVAL_MS: i64 = 24 * 3600 * 1000;
/// Digits of a code.
const CODE_LENGTH: usize = 10;

/// The limits of a connection.
#[derive(Debug)]
pub(super) struct SafetyLimits([(&'static str, &'static str, Allowed); 3]);

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    /// In the whole run.
    Number(u64),
    /// Of each table's records.
    Percent { percent: u64, floor: u64 },
}

/// Leave that somebody gives to go over a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    /// The code that was offered.
    pub code: String,
    /// Who gives it.
    pub actor: String,
}

/// Where orders wait that are to be let through, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting<'a> {
    pub(super) store: &'a Store,
    /// In lower case.
    pub(super) connection: &'a str,
    /// The orders folder, where not every agent sees it.
    pub(super) place: Option<&'a str>,
    pub(super) now_ms: i64,
}

/// The orders take away more than is allowed.
#[derive(Debug)]
pub struct OverLimit {
    message: String,
    hint: String,
    /// What the orders want too much of, and the code that lets them; none where a code was given and is not theirs.
    offered: Option<(String, String)>,
}

impl SafetyLimits {
    /// # Errors
    /// Of kind `Settings`: a value that is no limit.
    pub(super) fn read(settings: &ConnectionSettings) -> Result<Self, Error> {
        let limit = |key: &'static str| settings.text(key).map_or(Ok(DEFAULT), |text| allowed(key, text));
        Ok(Self([
            ("MaxDeletes", "deletions", limit("MaxDeletes")?),
            ("MaxDeactivations", "deactivations", limit("MaxDeactivations")?),
            ("MaxLinkRemovals", "removed links", limit("MaxLinkRemovals")?),
        ]))
    }

    /// Whether it matters how many records the tables have: below the floors it does not.
    pub(super) fn need_counts(&self, losses: &Losses) -> bool {
        self.0.iter().zip(kinds(losses)).any(|((.., allowed), losses)| {
            matches!(allowed, Allowed::Percent { floor, .. } if losses.values().any(|count| count > floor))
        })
    }

    /// The limits that these orders are over, in words. `records` are those of each table at the last export.
    pub(super) fn exceeded(&self, losses: &Losses, records: &BTreeMap<String, u64>) -> Vec<String> {
        let judged = self.0.iter().zip(kinds(losses));
        judged.flat_map(|((key, what, allowed), losses)| allowed.exceeded(key, what, losses, records)).collect()
    }
}

impl Allowed {
    fn exceeded(
        self,
        key: &str,
        what: &str,
        losses: &BTreeMap<String, u64>,
        records: &BTreeMap<String, u64>,
    ) -> Vec<String> {
        match self {
            Self::Number(most) => {
                let sum: u64 = losses.values().sum();
                let over = (sum > most).then(|| format!("{sum} {what}, and `{key}` allows {most}"));
                over.into_iter().collect()
            }
            Self::Percent { percent, floor } => {
                let over = losses.iter().filter_map(|(table, count)| {
                    let known = records.get(table);
                    let most = known.map_or(floor, |records| (records * percent / 100).max(floor));
                    let of = known.map_or_else(
                        || "no export says how many there are".to_owned(),
                        |records| format!("{percent} % of {records}, and at least {floor}"),
                    );
                    (*count > most).then(|| format!("{count} {what} in `{table}`, and `{key}` allows {most} ({of})"))
                });
                over.collect()
            }
        }
    }
}

/// In the order of the limits.
fn kinds(losses: &Losses) -> [&BTreeMap<String, u64>; 3] {
    [&losses.deletions, &losses.deactivations, &losses.link_removals]
}

fn allowed(key: &str, text: &str) -> Result<Allowed, Error> {
    let percent = text.strip_suffix('%').map(str::trim);
    let number = percent.unwrap_or(text).parse::<u64>().ok();
    match (number, percent) {
        (Some(percent), Some(_)) if percent <= 100 => Ok(Allowed::Percent { percent, floor: FLOOR }),
        (Some(number), None) => Ok(Allowed::Number(number)),
        _ => Err(Error::setting(key, format!("`{key}` is neither a number nor percent"))
            .with_hint("write a number such as 50, or percent of the records at the last export such as `10%`")),
    }
}

impl Waiting<'_> {
    /// Lets the orders through: those that are within the limits, and those that are approved. The code of the approval.
    ///
    /// # Errors
    /// [`OverLimit`], which says how to approve; a code that is not for these orders; the store.
    pub(super) async fn pass(
        &self,
        over: &[String],
        losses: &Losses,
        leave: Option<&Leave>,
    ) -> anyhow::Result<Option<String>> {
        if let Some(leave) = leave {
            return self.pass_by(leave, losses).await.map(Some);
        }
        let known = self.store.approval_of(self.connection, &losses.digest, self.place, self.now_ms).await?;
        if over.is_empty() {
            // Orders that went through by an approval and are within the limits now need it no more.
            return Ok(known.filter(|it| it.state == ApprovalState::Used).map(|it| it.code));
        }
        let code = match known {
            Some(known) if known.state == ApprovalState::Used => return Ok(Some(known.code)),
            Some(known) => known.code,
            None => self.offer(losses).await?,
        };
        let reason = format!("the orders want {}", over.join("; "));
        let message = format!("nothing was sent: {reason}");
        let hint = format!(
            "look at them with `--plan`; if they are right, approve exactly these orders within 24 hours with `--approve {code}`"
        );
        Err(OverLimit { message, hint, offered: Some((reason, code)) }.into())
    }

    /// Lets the orders through for which this leave is.
    async fn pass_by(&self, leave: &Leave, losses: &Losses) -> anyhow::Result<String> {
        let code = leave.code.trim().to_ascii_lowercase();
        let is_elsewhere = |known: &Approval| known.place.is_some() && known.place.as_deref() != self.place;
        let why = match self.store.approval(self.connection, &code, self.now_ms).await? {
            Some(known) if known.digest != losses.digest => "is for other orders than these",
            Some(known) if is_elsewhere(&known) => "is for orders in the folder of another agent",
            Some(known) if matches!(known.state, ApprovalState::Offered | ApprovalState::Used) => {
                let line = AuditRecord::of(random_text(16)?, self.now_ms, &leave.actor, "approve_orders", "approved");
                let (connection, account) = (self.connection.to_owned(), code.clone());
                let line = AuditRecord { connection, account, mode: "command".to_owned(), ..line };
                self.store.add_to_audit(&line).await?;
                self.store.use_approval(&code, self.now_ms).await?;
                return Ok(code);
            }
            Some(known) if known.state == ApprovalState::Expired => "has expired",
            Some(_) => "was used before",
            None => "was never given",
        };
        let message = format!("nothing was sent: the approval `{code}` {why}");
        let hint = "run without `--approve` to see what is to be approved".into();
        Err(OverLimit { message, hint, offered: None }.into())
    }

    /// Offers an approval; its code.
    async fn offer(&self, losses: &Losses) -> anyhow::Result<String> {
        let code = self.new_code(&losses.digest);
        let machine = self.store.is_shared().then(own_machine);
        let offer = Offer {
            connection: self.connection,
            digest: &losses.digest,
            code: &code,
            place: self.place,
            machine: machine.as_deref(),
            now_ms: self.now_ms,
            expires_ms: self.now_ms + APPROVAL_MS,
        };
        self.store.offer_approval(&offer).await?;
        Ok(code)
    }

    /// The code is no secret: whoever may run the program may approve. It differs each time one is offered.
    fn new_code(&self, digest: &str) -> String {
        let place = self.place.unwrap_or_default();
        let digest = Sha256::new().chain_update(digest).chain_update(place).chain_update(self.now_ms.to_be_bytes());
        hex(&digest.finalize())[..CODE_LENGTH].to_owned()
    }
}

impl OverLimit {
    /// What to do about it, as a sentence without its full stop.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// What the orders want too much of.
    pub fn reason(&self) -> &str {
        self.offered.as_ref().map_or(&self.message, |(reason, _)| reason)
    }

    /// The code by which exactly these orders can be approved.
    pub fn code(&self) -> Option<&str> {
        self.offered.as_ref().map(|(_, code)| code.as_str())
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for OverLimit {}

/// The kind of an error that is about one order alone.
pub(super) fn is_of_the_order(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Rejected | ErrorKind::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_percent_with_a_floor() {
        let records: BTreeMap<String, u64> = [("users".to_owned(), 1000)].into();
        let cases = [
            ("50", 50, "users", false),
            ("50", 51, "users", true),
            ("0", 1, "users", true),
            ("10%", 100, "users", false),
            ("10 %", 101, "users", true),
            ("0%", 10, "users", false),
            ("0%", 11, "users", true),
            ("90%", 10, "groups", false),
            ("90%", 11, "groups", true),
        ];
        for (text, count, table, over) in cases {
            let losses: BTreeMap<String, u64> = [(table.to_owned(), count)].into();
            let exceeded = allowed("MaxDeletes", text).unwrap().exceeded("MaxDeletes", "deletions", &losses, &records);
            assert_eq!(!exceeded.is_empty(), over, "{text} {count} {exceeded:?}");
        }
        for text in ["-1", "1.5", "101%", "many", "%"] {
            assert!(allowed("MaxDeletes", text).is_err(), "{text}");
        }
    }
}
