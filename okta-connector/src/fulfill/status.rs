//! From the state an account is in to the one that is wanted: which lifecycle calls, if Okta allows them. Pure.
//!
//! Suspending keeps memberships and assignments and can be undone; deactivating takes the account out of every app.
//! They are never traded for each other. Source: Okta's "User lifecycle" and the states recorded from organisations.

use connector_api::Result;

use super::values::refused;

/// A state that an order may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Active,
    Suspended,
    Deprovisioned,
    Staged,
}

/// A lifecycle call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Activate,
    Unsuspend,
    Unlock,
    Suspend,
    Deactivate,
}

/// What to do about the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing: it is so. The note says where it is so in other words.
    There(Option<&'static str>),
    /// This call.
    Call(Lifecycle),
}

impl Wanted {
    /// # Errors
    /// Kind `Rejected` for a state that cannot be asked for.
    pub(super) fn named(name: &str) -> Result<Self> {
        let known = [
            ("ACTIVE", Self::Active),
            ("SUSPENDED", Self::Suspended),
            ("DEPROVISIONED", Self::Deprovisioned),
            ("STAGED", Self::Staged),
        ];
        let found = known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
        found.map(|(_, wanted)| wanted).ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            refused(
                format!("`status` cannot become `{shown}` by an order"),
                "ask for ACTIVE, SUSPENDED, DEPROVISIONED or STAGED; Okta sets the other states itself",
            )
        })
    }

    pub(super) fn in_okta(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Suspended => "SUSPENDED",
            Self::Deprovisioned => "DEPROVISIONED",
            Self::Staged => "STAGED",
        }
    }

    /// Whether the account cannot be used in this state.
    pub(super) fn is_out_of_use(self) -> bool {
        matches!(self, Self::Suspended | Self::Deprovisioned)
    }

    /// The way there from `status`.
    ///
    /// # Errors
    /// Kind `Rejected` where Okta has no such way.
    pub(super) fn from(self, status: &str) -> Result<Way> {
        use Lifecycle::{Activate, Deactivate, Suspend, Unlock, Unsuspend};
        let way = match (self, status) {
            (wanted, status) if wanted.in_okta() == status => Way::There(None),
            (Self::Active, "STAGED" | "DEPROVISIONED") => Way::Call(Activate),
            (Self::Active, "SUSPENDED") => Way::Call(Unsuspend),
            (Self::Active, "LOCKED_OUT") => Way::Call(Unlock),
            (Self::Active, "PROVISIONED" | "ACTIVATING") => {
                Way::There(Some("the account is activated and waits for its owner to set a password"))
            }
            (Self::Active, "RECOVERY" | "PASSWORD_EXPIRED") => {
                Way::There(Some("the account is active; its owner must choose a new password"))
            }
            (Self::Suspended, "ACTIVE") => Way::Call(Suspend),
            (Self::Deprovisioned, _) => Way::Call(Deactivate),
            (wanted, status) => return Err(no_way(wanted, status)),
        };
        Ok(way)
    }
}

fn no_way(wanted: Wanted, status: &str) -> connector_api::Error {
    let hint = match (wanted, status) {
        (Wanted::Suspended, "DEPROVISIONED") => "it is deactivated and cannot be used; ask for ACTIVE first",
        (Wanted::Suspended, "STAGED") => "it was never activated and cannot be used; ask for ACTIVE first",
        (Wanted::Suspended, "LOCKED_OUT") => "ask for ACTIVE first, which unlocks it",
        (Wanted::Suspended, _) => {
            "its owner must set a password first; or ask for DEPROVISIONED, which Okta allows from any state"
        }
        (Wanted::Staged, _) => {
            "an account that was activated never becomes staged again; ask for SUSPENDED or DEPROVISIONED"
        }
        _ => "Okta does not say how to get there from this state; see the account in the admin console",
    };
    refused(format!("Okta cannot make an account in state {status} {}", wanted.in_okta()), hint)
}

impl Lifecycle {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Unsuspend => "unsuspend",
            Self::Unlock => "unlock",
            Self::Suspend => "suspend",
            Self::Deactivate => "deactivate",
        }
    }

    /// Whether the account can be used afterwards.
    pub(super) fn enables(self) -> bool {
        matches!(self, Self::Activate | Self::Unsuspend | Self::Unlock)
    }

    pub(super) fn in_the_past(self) -> &'static str {
        match self {
            Self::Activate => "activated",
            Self::Unsuspend => "unsuspended",
            Self::Unlock => "unlocked",
            Self::Suspend => "suspended",
            Self::Deactivate => "deactivated",
        }
    }

    /// The states in which an account is as this call would have it.
    pub(super) fn leads_to(self) -> &'static [&'static str] {
        match self {
            Self::Activate => &["ACTIVE", "PROVISIONED", "PASSWORD_EXPIRED", "RECOVERY"],
            Self::Unsuspend | Self::Unlock => &["ACTIVE", "PASSWORD_EXPIRED", "RECOVERY"],
            Self::Suspend => &["SUSPENDED"],
            Self::Deactivate => &["DEPROVISIONED"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [&str; 8] =
        ["STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"];

    /// `.` nothing to do, `x` refused, else the first letters of the call.
    fn check(wanted: Wanted, expected: [&str; 8]) {
        for (status, expected) in STATES.into_iter().zip(expected) {
            let way = match wanted.from(status) {
                Ok(Way::There(_)) => ".",
                Ok(Way::Call(call)) => call.name(),
                Err(error) => {
                    assert!(error.hint().is_some() && error.to_string().contains(status));
                    "x"
                }
            };
            assert!(way == expected, "{wanted:?} from {status}: {way}");
        }
    }

    #[test]
    fn every_state_has_its_way_or_a_reason() {
        check(Wanted::Active, ["activate", ".", ".", ".", ".", "unlock", "unsuspend", "activate"]);
        check(Wanted::Suspended, ["x", "x", "suspend", "x", "x", "x", ".", "x"]);
        let off = "deactivate";
        check(Wanted::Deprovisioned, [off, off, off, off, off, off, off, "."]);
        check(Wanted::Staged, [".", "x", "x", "x", "x", "x", "x", "x"]);
        assert!(Wanted::named("suspended").is_ok() && Wanted::named("LOCKED_OUT").is_err());
    }
}
