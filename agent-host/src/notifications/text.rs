//! The mail about a run, in two languages, as text and as HTML.

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use super::Notification;
use crate::mail::{Language, RenderedMail};

const TEXTS: [(&str, &str); 4] = [
    ("run.en.txt", include_str!("../../templates/mail/run.en.txt")),
    ("run.en.html", include_str!("../../templates/mail/run.en.html")),
    ("run.fr.txt", include_str!("../../templates/mail/run.fr.txt")),
    ("run.fr.html", include_str!("../../templates/mail/run.fr.html")),
];

/// The texts.
pub(super) struct Texts(Environment<'static>);

impl Texts {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        for (name, text) in TEXTS {
            environment.add_template(name, text).expect("our own texts are templates");
        }
        Self(environment)
    }

    pub(super) fn render(&self, notification: &Notification, language: Language) -> anyhow::Result<RenderedMail> {
        let words = Value::from_pairs([
            ("event", Value::from(notification.event.as_str())),
            ("job", Value::from(notification.job.as_str())),
            ("run", Value::from(notification.run)),
            ("state", Value::from(notification.state.as_str())),
            ("message", Value::from(notification.message.as_str())),
            ("ended", Value::from(notification.ended.as_str())),
            ("failing_since", Value::from(notification.failing_since.as_str())),
            ("failures_untold", Value::from(notification.failures_untold)),
        ]);
        let render = |format: &str| {
            let template = self.0.get_template(&format!("run.{}.{format}", language.code()))?;
            template.render(words.clone())
        };
        Ok(RenderedMail::of(&render("txt")?, render("html")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_events_are_told_in_both_languages_and_nothing_breaks_out_of_them() {
        let mut notification = Notification {
            event: "run.failed".to_owned(),
            id: "1".to_owned(),
            job: "Night\r\nBcc: eve@example.com".to_owned(),
            run: 7,
            state: "error".to_owned(),
            message: "<b>no".to_owned(),
            ended: "2026-01-31T14:05:00Z".to_owned(),
            failing_since: "2026-01-31T13:05:00Z".to_owned(),
            failures_untold: 3,
        };
        for language in [Language::En, Language::Fr] {
            for event in ["run.failed", "run.recovered"] {
                event.clone_into(&mut notification.event);
                let mail = Texts::new().render(&notification, language).unwrap();
                assert!(!mail.subject.contains(['\r', '\n']) && mail.subject.contains("Night"), "{}", mail.subject);
                assert!(mail.text.contains("<b>no") && mail.text.contains("agent-host job history --run 7"));
                assert!(mail.html.contains("&lt;b&gt;no") && !mail.html.contains("<b>no"), "{}", mail.html);
                assert_eq!(
                    mail.text.contains('3') && mail.text.contains("2026-01-31T13:05:00Z"),
                    true,
                    "{}",
                    mail.text
                );
            }
        }
    }
}
