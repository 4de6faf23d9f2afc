//! Passwords on their way to a managed system. They are never shown, logged or stored.

use secrecy::SecretString;

/// A password to be set.
#[derive(Debug, Clone)]
pub struct NewPassword {
    /// The password.
    pub value: SecretString,
    /// Whether its owner must choose another one at the first login.
    pub must_change: bool,
}
