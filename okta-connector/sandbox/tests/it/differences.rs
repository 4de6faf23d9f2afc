//! The differences which are known and left, each with its reason. The list is exact: a difference that is not in it
//! fails the test, and so does an entry that no longer matches any.

use crate::comparison::Finding;
use crate::recordings::Era;

/// A group of differences with one reason. Patterns may hold `*`.
pub(crate) struct Known {
    pub(crate) era: Option<Era>,
    pub(crate) file: &'static str,
    pub(crate) request: &'static str,
    /// Each of these must be found somewhere.
    pub(crate) subjects: &'static [&'static str],
    pub(crate) reason: &'static str,
}

/// Between recorded answers and the sandbox's.
pub(crate) const KNOWN: &[Known] = &[
    // What Okta changed between 2020 and 2025.
    Known {
        era: Some(Era::Older),
        file: "*",
        request: "* /api/v1/*apps*",
        subjects: &[
            "extra *_links.accessPolicy",
            "extra *_links.policies",
            "extra *_links.profileEnrollment",
            "extra *_links.uploadLogo",
            "extra *orn",
            "extra *settings.emOptInStatus",
            "extra *settings.implicitAssignment",
            "extra *settings.manualProvisioning",
            "extra *settings.notes",
            "extra *universalLogout",
            "extra *visibility.autoLaunch",
            "missing *settings.extendedProperties",
        ],
        reason: "applications of 2020 had not these members yet, and one that is gone: the sandbox follows the newer",
    },
    Known {
        era: Some(Era::Older),
        file: "*",
        request: "* /api/v1/users*",
        subjects: &["extra _links.forgotPassword", "extra _links.resetFactors"],
        reason: "users of 2020 did not show these links yet: the sandbox follows the newer",
    },
    Known {
        era: Some(Era::Older),
        file: "*",
        request: "* /api/v1/*users*",
        subjects: &["type statusChanged", "type [].statusChanged"],
        reason: "staged users of 2020 had no date of their status; those of 2025 have it from their creation on",
    },
    Known {
        era: Some(Era::Older),
        file: "*",
        request: "POST /api/v1/users/:id/lifecycle/deactivate",
        subjects: &["status"],
        reason: "some recordings of 2020 answer 204, the others and all newer ones 200 with {}",
    },
    // What differs from one organisation to another.
    Known {
        era: Some(Era::Newer),
        file: "test_applications_it/*",
        request: "* /api/v1/apps*",
        subjects: &["extra *settings.emOptInStatus", "type *universalLogout"],
        reason: "the two organisations of 2025 disagree: one shows an opt-in status and a logout object, the other neither",
    },
    Known {
        era: None,
        file: "test_user_schema_it/*",
        request: "* /api/v1/meta/schemas/user/default",
        subjects: &[
            "extra definitions.custom.properties.allowance",
            "extra definitions.custom.properties.contractor",
            "extra definitions.custom.properties.costCodes",
            "extra definitions.custom.properties.remark",
            "extra definitions.custom.properties.seniority",
            "extra definitions.custom.properties.skills",
        ],
        reason: "every sandbox describes a custom attribute of each type",
    },
    Known {
        era: None,
        file: "test_api_token_it/*",
        request: "GET /api/v1/api-tokens",
        subjects: &["type [].tokenWindow"],
        reason: "one recorded organisation has tokens without a window; the sandbox has one token, and it has a window",
    },
    Known {
        era: None,
        file: "*test_user_pagination",
        request: "GET /api/v1/users",
        subjects: &["missing element", "extra element"],
        reason: "Okta promises no order of this list: the sandbox starts with its administrator, the recorded one did not",
    },
    Known {
        era: None,
        file: "*test_list_applications_pagination_with_after",
        request: "POST /api/v1/apps",
        subjects: &["status"],
        reason: "the recorded organisation was at its cap of application instances; the sandbox has no cap",
    },
    // Kinds of applications which the sandbox does not tell apart.
    Known {
        era: Some(Era::Newer),
        file: "test_applications_it/*",
        request: "GET /api/v1/apps",
        subjects: &[
            "extra [].credentials.oauthClient",
            "extra [].settings.notes",
            "extra [].settings.oauthClient",
            "extra [].visibility.appLinks.login",
            "extra [].visibility.autoLaunch",
            "missing []._links.clientCredentials",
            "missing []._links.help",
            "missing [].settings.signOn.configuredAttributeStatements",
            "missing [].visibility.appLinks.admin",
            "missing [].visibility.appLinks.test-cwo-app_link",
        ],
        reason: "Okta's own, SAML and catalogue applications have members of their own; the sandbox builds them as any other",
    },
    Known {
        era: None,
        file: "*test_get_default_provisioning_connection_for_application",
        request: "POST /api/v1/apps",
        subjects: &["missing _links.help"],
        reason: "a catalogue application links to its set-up guide; the sandbox has no guides",
    },
    // What the sandbox does otherwise.
    Known {
        era: None,
        file: "test_applications_it/*",
        request: "* /api/v1/apps/:id/credentials/csrs*",
        subjects: &["status"],
        reason: "the sandbox has no certificate signing requests: no connector sends any",
    },
    Known {
        era: None,
        file: "test_applications_it/*",
        request: "* /api/v1/apps/:id/grants*",
        subjects: &["status"],
        reason: "the sandbox has no consent grants of applications: they concern OAuth clients only",
    },
];

/// Between the published description and the sandbox's answers.
pub(crate) const OPENAPI: &[Known] = &[
    Known {
        era: None,
        file: "*",
        request: "* /api/v1/*apps*",
        subjects: &[
            "type *accessibility.errorRedirectUrl",
            "type *accessibility.loginRedirectUrl",
            "type *settings.notes.admin",
            "type *settings.notes.enduser",
            "type *settings.notifications.vpn.helpUrl",
            "type *settings.notifications.vpn.message",
        ],
        reason: "null where the description has strings only: recorded so in every application, and the recording wins",
    },
    Known {
        era: None,
        file: "*",
        request: "* /api/v1/apps*",
        subjects: &["required \"loginUrl\" *settings.signOn"],
        reason: "SAML applications have no `loginUrl` in recorded traffic: the recording wins",
    },
    Known {
        era: None,
        file: "*",
        request: "* /api/v1/apps/{appId}/users*",
        subjects: &["type *externalId"],
        reason: "null until the application has an id for the user: recorded so, and the recording wins",
    },
    Known {
        era: None,
        file: "*",
        request: "* /api/v1/*groups*",
        subjects: &["type *profile.description"],
        reason: "null for a group without one: recorded so, and the recording wins",
    },
    Known {
        era: None,
        file: "*",
        request: "GET /api/v1/api-tokens*",
        subjects: &["pattern *tokenWindow"],
        reason: "the published pattern matches no duration but `P` alone; recorded is `P30D`, and the recording wins",
    },
];

/// Sorts findings into known ones and others, and remembers which entries were of use.
pub(crate) struct Ledger {
    known: &'static [Known],
    used: Vec<(usize, usize)>,
}

impl Ledger {
    pub(crate) fn new(known: &'static [Known]) -> Self {
        Self { known, used: Vec::new() }
    }

    pub(crate) fn explains(&mut self, finding: &Finding) -> bool {
        let mut explained = false;
        for (entry, known) in self.known.iter().enumerate() {
            let applies = known.era.is_none_or(|era| era == finding.era)
                && glob(known.file, &finding.file)
                && glob(known.request, &finding.request);
            let subject = known.subjects.iter().position(|subject| applies && glob(subject, &finding.subject));
            if let Some(subject) = subject {
                self.used.push((entry, subject));
                explained = true;
            }
        }
        explained
    }

    /// The entries which explained nothing.
    pub(crate) fn unused(&self) -> Vec<String> {
        let subjects =
            |entry: usize, known: &'static Known| known.subjects.iter().enumerate().map(move |(i, s)| (entry, i, s));
        self.known
            .iter()
            .enumerate()
            .flat_map(|(entry, known)| subjects(entry, known).map(move |subject| (known, subject)))
            .filter(|(_, (entry, subject, _))| !self.used.contains(&(*entry, *subject)))
            .map(|(known, (.., subject))| format!("{} {} {subject} ({})", known.file, known.request, known.reason))
            .collect()
    }
}

/// Whether `text` matches `pattern`, in which every `*` stands for any characters.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(tail) = text.strip_prefix(head) else { return false };
    (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| glob(rest, &tail[at..]))
}

#[test]
fn patterns_match_whole_texts() {
    assert!(glob("test_users_it/*forgot_password*", "test_users_it/TestUsersResource.test_forgot_password"));
    assert!(glob("extra *orn", "extra orn") && glob("extra *orn", "extra [].orn"));
    assert!(!glob("GET /api/v1/apps", "GET /api/v1/apps/:id") && !glob("type *id", "type id.value"));
}
