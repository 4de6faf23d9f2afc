//! The rules that forbid a text in a view of the sources, as data.
//!
//! Texts that are looked for in whole files are written with `concat!`, so that this file does not hold them.

use super::source::Source;

/// What must not be where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// The rule, as the one who broke it reads it.
    pub(super) says: &'static str,
    view: View,
    /// Texts that break the rule; one that begins like a name matches whole names' beginnings alone.
    forbidden: &'static [&'static str],
    /// The beginnings of the paths it is about; none for all.
    within: &'static [&'static str],
    /// Beginnings of paths where it may be, each with the reason.
    except: &'static [(&'static str, &'static str)],
}

#[derive(Debug, Clone, Copy)]
enum View {
    /// The whole text of any file, in lower case.
    Text,
    Comments,
    Code,
    ProductCode,
    ProductLiterals,
}

const EVERYWHERE: Rule = Rule { says: "", view: View::ProductCode, forbidden: &[], within: &[], except: &[] };

pub(super) const UNWRAP: Rule = Rule {
    says: "no `unwrap` outside tests: return an error, or `expect(\"the invariant in words\")`",
    forbidden: &[".unwrap()"],
    ..EVERYWHERE
};

pub(super) const ALLOW: Rule = Rule {
    says: "`#[expect(…, reason = \"…\")]` instead of `allow`: it ends when its reason does",
    view: View::Code,
    forbidden: &["[allow(", ", allow("],
    ..EVERYWHERE
};

pub(super) const LATER_IN_CODE: Rule = Rule {
    says: "what is not done is not in the code",
    view: View::Code,
    forbidden: &["todo!", "unimplemented!", "dbg!"],
    ..EVERYWHERE
};

pub(super) const LATER_IN_COMMENTS: Rule = Rule {
    says: "what is left to do belongs in the tracker",
    view: View::Comments,
    forbidden: &[concat!("TO", "DO"), concat!("FIX", "ME")],
    ..EVERYWHERE
};

pub(super) const MACHINE_PATHS: Rule = Rule {
    says: "a path that exists on one machine helps nobody on another",
    view: View::Text,
    forbidden: &[
        concat!("/", "home/"),
        concat!("/", "root/"),
        concat!("/", "tmp/"),
        concat!("/", "work/"),
        concat!("/", "users/"),
        concat!("c:", "\\users"),
    ],
    except: &[
        ("agent-host/scim/", "every user of SCIM has an address that looks like one"),
        ("tests/it/scim", "every user of SCIM has an address that looks like one"),
        ("tests/bench/scim.rs", "every user of SCIM has an address that looks like one"),
    ],
    ..EVERYWHERE
};

pub(super) const ABOUT_THE_MAKING: Rule = Rule {
    says: "the repository speaks of the product, not of who made it, when, or by which issue",
    view: View::Text,
    forbidden: &[
        concat!("cla", "ude"),
        concat!("anth", "ropic"),
        concat!("cop", "ilot"),
        concat!("chat", "gpt"),
        concat!("language ", "model"),
        concat!("co-auth", "ored-by"),
        concat!("this ses", "sion"),
        concat!("previous ses", "sion"),
        concat!("issue", " #"),
        concat!("issue", " 1"),
        concat!("issue", " 2"),
        concat!("issue", " 3"),
        concat!("issue", " 4"),
        concat!("issue", " 5"),
        concat!("issue", " 6"),
        concat!("issue", " 7"),
        concat!("issue", " 8"),
        concat!("issue", " 9"),
    ],
    ..EVERYWHERE
};

pub(super) const SQL_TEXT: Rule = Rule {
    says: "SQL lies in agent-host/src/store alone: one place to read when a table changes",
    view: View::ProductLiterals,
    forbidden: &["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE ", "DROP TABLE ", "PRAGMA "],
    except: &[("agent-host/src/store", "is the store")],
    ..EVERYWHERE
};

pub(super) const SQL_CRATE: Rule = Rule { forbidden: &["sqlx::"], view: View::ProductCode, ..SQL_TEXT };

pub(super) const ENVIRONMENT: Rule = Rule {
    says: "the environment is read by the settings and the command line; others are told",
    forbidden: &["env::"],
    except: &[
        ("agent-host/src/settings.rs", "the settings overlay the environment"),
        ("agent-host/src/main.rs", "the arguments"),
        ("tests/xtask/src/main.rs", "the arguments"),
    ],
    ..EVERYWHERE
};

pub(super) const SETTINGS_FILES: Rule = Rule {
    says: "settings files are named by the settings; the rest sees typed settings",
    view: View::ProductLiterals,
    forbidden: &["\"appsettings"],
    except: &[
        ("agent-host/src/settings", "reads them"),
        ("agent-host/src/init.rs", "writes them into a new agent directory"),
        ("agent-host/src/demo.rs", "writes the address of its sandbox into one"),
    ],
    ..EVERYWHERE
};

pub(super) const FILES_IN_CONNECTORS: Rule = Rule {
    says: "a connector gets settings and gives records: it has no place to put them, and asks nobody else",
    forbidden: &["fs::", "process::", "std::net::"],
    within: &["connector-api/", "okta-connector/src/"],
    ..EVERYWHERE
};

pub(super) const CONCRETE_CONNECTOR: Rule = Rule {
    says: "a connector is named in connections.rs alone, so that adding one touches one line",
    forbidden: &["okta_connector"],
    except: &[("agent-host/src/connections.rs", "from a package to its connector")],
    ..EVERYWHERE
};

pub(super) const SANDBOX: Rule = Rule {
    says: "the sandbox is for tests and the demonstration",
    forbidden: &["okta_sandbox"],
    except: &[
        ("agent-host/src/demo.rs", "shows the product on a sandbox"),
        ("okta-connector/sandbox/src/main.rs", "is the sandbox's own program"),
    ],
    ..EVERYWHERE
};

pub(super) const OPENED_SECRETS: Rule = Rule {
    says: "a secret is opened where it is sent or checked, nowhere else",
    forbidden: &["expose_secret"],
    except: &[
        (
            "connector-api/src/settings.rs",
            "settings that are no secrets are kept like secrets; asks whether one is blank",
        ),
        (
            "okta-connector/src/auth",
            "signs and sends what the credentials give, and removes them from texts that repeat them",
        ),
        ("okta-connector/src/client/write.rs", "sends new passwords, and removes them from texts that repeat them"),
        ("agent-host/src/settings/values.rs", "settings that are no secrets are kept like secrets"),
        ("agent-host/src/settings/vaults/aws.rs", "hands the access key to Amazon's library; a secret holds settings"),
        ("agent-host/src/settings/vaults/azure.rs", "sends the client's secret or assertion"),
        ("agent-host/src/settings/vaults/certificate.rs", "opens the client certificate's file"),
        ("agent-host/src/settings/vaults/client.rs", "sends tokens"),
        ("agent-host/src/settings/vaults/hashicorp.rs", "signs in with a role"),
        ("agent-host/src/settings/server_certificate.rs", "opens the file of the certificate that serves https"),
        ("agent-host/src/telemetry/collector.rs", "sends what the collector is to be shown"),
        ("agent-host/src/notifications/webhook.rs", "signs what is posted, and asks whether the secret is long enough"),
        ("agent-host/src/settings/secrets.rs", "asks whether one is blank, a placeholder, or protected"),
        ("agent-host/src/settings/store_url.rs", "checks the store's address, which holds a password"),
        ("agent-host/src/export/bucket.rs", "hands the access key to the library that signs with it"),
        ("agent-host/src/store/place.rs", "connects to the store by its address, which holds a password"),
        ("agent-host/src/settings/protection", "opens protected values, and protects others"),
        ("agent-host/src/settings/certificate/new.rs", "encrypts a new certificate's file with its password"),
        ("agent-host/src/cli/protect", "prints what `unprotect` is asked for; compares a password with its repetition"),
        ("agent-host/src/redaction.rs", "knows secrets so that no line shows them"),
        ("agent-host/src/credential.rs", "hashes the secrets of directories and of the API"),
        ("agent-host/src/cli/directory.rs", "prints a directory's secret, once"),
        ("agent-host/src/cli/operator.rs", "prints an operator's password that was made up, once"),
        ("agent-host/src/operators/password.rs", "hashes what operators sign in with"),
        ("agent-host/src/operators/openid/provider.rs", "sends the client's secret and the verifier of a sign-in"),
        ("agent-host/src/settings/typed.rs", "writes settings that were typed in the dashboard"),
        ("agent-host/src/web/session.rs", "fields of forms that are no secrets are kept like secrets"),
        ("agent-host/src/web/pages/sign_in.rs", "gives the browser what it is to hold"),
        ("agent-host/src/cli/token.rs", "prints a token, once"),
        ("agent-host/src/web/oauth/", "gives codes and tokens to the client that may have them"),
        ("agent-host/src/web/views/shown_once.rs", "writes a secret into the answer to whoever asked for it"),
        ("agent-host/src/cli/reset_password.rs", "prints a password where `--show` asks for it"),
        (
            "agent-host/src/mail/transport.rs",
            "signs in to the mail server, and removes its password from texts that repeat it",
        ),
        ("agent-host/src/password_reset/chosen.rs", "checks a password that was chosen"),
        ("agent-host/src/password_reset/notice.rs", "seals what is mailed"),
        ("agent-host/src/web/password_page.rs", "compares a password that was typed twice"),
    ],
    ..EVERYWHERE
};

pub(super) const WALL_CLOCK: Rule = Rule {
    says: "time is an argument, so that tests are exact",
    forbidden: &["SystemTime::now", "Utc::now", "Local::now", "Instant::now"],
    except: &[
        ("okta-connector/src/clock.rs", "is the clock"),
        ("okta-connector/sandbox/src/clock.rs", "is the organisation's clock"),
        ("agent-host/src/leases.rs", "gates close by a clock that nobody sets"),
        ("agent-host/src/export.rs", "the report and the manifest say when and how long"),
        ("agent-host/src/settings/vaults.rs", "whether a secret of a vault has expired"),
        ("agent-host/src/cli/progress.rs", "what the reader sees, and how often"),
        ("agent-host/src/cli.rs", "gives what it starts its clock"),
        ("agent-host/src/fulfill/journal.rs", "the report says how long, and what waiting for the journal cost"),
        ("agent-host/src/demo.rs", "tells the reader how long it took"),
        ("agent-host/src/settings/protection/keys.rs", "warns of a certificate that has expired"),
        ("agent-host/src/cli/protect/material.rs", "a new certificate begins today"),
        ("tests/xtask/src/main.rs", "tells the reader how long it took"),
    ],
    ..EVERYWHERE
};

pub(super) const CHANCE: Rule = Rule {
    says: "chance is an argument, so that tests are exact",
    forbidden: &["rand::", "fastrand::", "getrandom::"],
    except: &[
        ("agent-host/src/password_reset/generate.rs", "names the trait of the randomness it is given"),
        ("agent-host/src/password_reset/key.rs", "is the operating system's randomness"),
        ("okta-connector/src/auth/key.rs", "signatures and new keys need chance that nobody can foretell"),
        ("okta-connector/src/auth/jwt.rs", "identifiers that nobody has used"),
        ("okta-connector/sandbox/src/oauth/key_pair.rs", "makes keys, which nobody may guess"),
        ("agent-host/src/settings/vaults/assertion.rs", "an assertion is sent once, and its signature is salted"),
        ("agent-host/src/settings/certificate/weak.rs", "blinds what it computes with a private key"),
        ("agent-host/src/settings/protection/key.rs", "keys and nonces that nobody can foretell"),
    ],
    ..EVERYWHERE
};

impl Rule {
    /// Every place in the source that breaks the rule: `path:line: the line`.
    pub(super) fn broken_in(&self, source: &Source) -> Vec<String> {
        let excepted = self.except.iter().any(|(place, _)| source.path.starts_with(place));
        if excepted { Vec::new() } else { self.places(source) }
    }

    /// Exceptions that no file needs any more.
    pub(super) fn unneeded_exceptions(&self, sources: &[Source]) -> Vec<String> {
        let needed = |place: &str| {
            sources.iter().any(|source| source.path.starts_with(place) && !self.places(source).is_empty())
        };
        let unneeded = self.except.iter().filter(|(place, _)| !needed(place));
        unneeded.map(|(place, reason)| format!("{place}: no longer an exception ({reason}): remove it")).collect()
    }

    fn places(&self, source: &Source) -> Vec<String> {
        let about = self.within.is_empty() || self.within.iter().any(|place| source.path.starts_with(place));
        if !about {
            return Vec::new();
        }
        let lower;
        let view = match self.view {
            View::Text => {
                lower = source.text.to_lowercase();
                &lower
            }
            View::Comments => &source.comments,
            View::Code => &source.code,
            View::ProductCode => &source.product_code,
            View::ProductLiterals => &source.product_literals,
        };
        let lines = view.lines().zip(source.text.lines()).enumerate();
        let broken = lines.filter(|(_, (seen, _))| self.forbidden.iter().any(|text| holds(seen, text)));
        broken.map(|(index, (_, line))| format!("{}:{}: {}", source.path, index + 1, line.trim())).collect()
    }
}

/// Whether the text is there: a name not as the end of a longer one, a path not as the end of an address.
fn holds(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(at, _)| {
        let before = line[..at].chars().next_back().unwrap_or(' ');
        match text.chars().next() {
            Some('/') => !before.is_alphanumeric() && !"}>)]./-_~".contains(before),
            Some(first) if first.is_alphanumeric() => !before.is_alphanumeric() && before != '_',
            _ => true,
        }
    })
}

#[test]
fn every_rule_finds_what_breaks_it() {
    let product = "agent-host/src/a.rs";
    let forbidden_path = format!("see {}ann/notes", concat!("/", "home/"));
    let issue = format!("// fixes {}7", concat!("Issue", " #"));
    let cases: [(Rule, &str, &str, bool); 34] = [
        (UNWRAP, product, "a.unwrap()", true),
        (UNWRAP, product, "// a.unwrap()", false),
        (UNWRAP, product, "#[cfg(test)]\nfn t() { a.unwrap() }", false),
        (UNWRAP, "tests/it/a.rs", "a.unwrap()", false),
        (ALLOW, "tests/it/a.rs", concat!("#[al", "low(dead_code)]"), true),
        (ALLOW, product, concat!("#![al", "low(dead_code)]"), true),
        (ALLOW, product, "#[cfg_attr(test, allow(dead_code))]", true),
        (ALLOW, product, "#[expect(dead_code, reason = \"allow(x)\")]", false),
        (LATER_IN_CODE, product, concat!("to", "do!()"), true),
        (LATER_IN_CODE, product, "f(\"todo!\")", false),
        (LATER_IN_COMMENTS, product, concat!("a(); // TO", "DO: b"), true),
        (LATER_IN_COMMENTS, product, concat!("f(\"TO", "DO\")"), false),
        (MACHINE_PATHS, "README.md", &forbidden_path, true),
        (MACHINE_PATHS, "README.md", "https://example.okta.com/home/app", false),
        (ABOUT_THE_MAKING, product, &issue, true),
        (ABOUT_THE_MAKING, product, "// an issue of trust", false),
        (SQL_TEXT, product, "f(\"SELECT id FROM runs\")", true),
        (SQL_TEXT, product, "f(\"Select one of these\")", false),
        (SQL_CRATE, product, "use sqlx::Pool;", true),
        (ENVIRONMENT, product, "use std::env::var;", true),
        (ENVIRONMENT, product, "env::args()", true),
        (ENVIRONMENT, product, "my_env::args()", false),
        (SETTINGS_FILES, product, "open(\"appsettings.json\")", true),
        (SETTINGS_FILES, product, "hint(\"see appsettings.json\")", false),
        (FILES_IN_CONNECTORS, "okta-connector/src/a.rs", "std::fs::read(p)", true),
        (FILES_IN_CONNECTORS, product, "std::fs::read(p)", false),
        (CONCRETE_CONNECTOR, product, "use okta_connector::OktaConnector;", true),
        (CONCRETE_CONNECTOR, "agent-host/src/connections.rs", "use okta_connector::OktaConnector;", false),
        (SANDBOX, product, "okta_sandbox::start()", true),
        (OPENED_SECRETS, product, "key.expose_secret()", true),
        (OPENED_SECRETS, "okta-connector/src/auth.rs", "key.expose_secret()", false),
        (WALL_CLOCK, product, "let now = Utc::now();", true),
        (WALL_CLOCK, "okta-connector/src/clock.rs", "Instant::now()", false),
        (CHANCE, product, "rand::rng()", true),
    ];
    for (rule, path, text, breaks) in cases {
        let broken = rule.broken_in(&Source::new(path, text));
        assert_eq!(!broken.is_empty(), breaks, "{}: {path}: {text}", rule.says);
    }
    let broken = UNWRAP.broken_in(&Source::new(product, "a()\n  .b()\n  .unwrap();\n"));
    assert_eq!(broken, ["agent-host/src/a.rs:3: .unwrap();"]);
}

#[test]
fn an_exception_that_nothing_needs_is_found() {
    let rule = Rule { except: &[("a/src/b.rs", "opens it")], ..OPENED_SECRETS };
    let needed = Source::new("a/src/b.rs", "key.expose_secret()");
    assert!(rule.unneeded_exceptions(&[needed]).is_empty());
    let sealed = Source::new("a/src/b.rs", "key");
    assert_eq!(rule.unneeded_exceptions(&[sealed]), ["a/src/b.rs: no longer an exception (opens it): remove it"]);
}
