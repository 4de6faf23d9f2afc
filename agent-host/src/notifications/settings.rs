//! The section `Notifications`, checked: on which ends of runs who is told, and how.

use connector_api::{Problems, Result};

use super::Webhook;
use crate::{
    mail::{Language, MailSettings, parse_mailbox},
    settings::Settings,
    store::RunState,
};

const SECTION: &str = "Notifications";
/// Ends of runs that can be told of.
const STATES: [RunState; 4] = [RunState::Error, RunState::Blocked, RunState::Warning, RunState::Cancelled];

/// What the section says.
pub(super) struct NotificationSettings {
    pub(super) on: Vec<RunState>,
    /// How mails leave, to whom, in which language.
    pub(super) mail: Option<(MailSettings, Vec<String>, Language)>,
    pub(super) webhook: Option<Webhook>,
}

impl NotificationSettings {
    pub(super) fn read(settings: &Settings) -> Result<Self> {
        let mut problems = Problems::default();
        let on = problems.note(states(settings)).unwrap_or_default();
        let mail = problems.note(mail(settings)).flatten();
        let webhook = problems.note(Webhook::read(settings)).flatten();
        problems.into_result()?;
        Ok(Self { on, mail, webhook })
    }
}

fn states(settings: &Settings) -> Result<Vec<RunState>> {
    let section = settings.section(&[SECTION]);
    let names = section.list("On", ',');
    if names.is_empty() {
        return Ok(vec![RunState::Error, RunState::Blocked]);
    }
    let state = |name: &&str| {
        STATES.into_iter().find(|state| state.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let known = STATES.map(RunState::name).join(", ");
            let error = section.error("On", format_args!("names `{name}`, which is no end of a run that can be told"));
            error.with_hint(format!("write some of {known}"))
        })
    };
    names.iter().map(state).collect()
}

fn mail(settings: &Settings) -> Result<Option<(MailSettings, Vec<String>, Language)>> {
    let section = settings.section(&["Notifications:Mail"]);
    let to: Vec<String> = section.list("To", ';').into_iter().map(str::to_owned).collect();
    if to.is_empty() {
        return Ok(None);
    }
    if let Some(wrong) = to.iter().find(|address| parse_mailbox(address).is_none()) {
        let error = section.error("To", format_args!("names `{wrong}`, which is no mail address"));
        return Err(error.with_hint("write such as ops@example.com"));
    }
    let language = match section.text("Culture") {
        None => Language::En,
        Some(tag) => Language::of_tag(tag)
            .ok_or_else(|| section.error("Culture", "is no language of mails").with_hint("write en or fr"))?,
    };
    let mut wrong = Vec::new();
    let places = ["PasswordResetSettings:MailSettings", "MailSettings"];
    let sent = MailSettings::read(&settings.section(&places), &settings.directory, &mut wrong);
    if let Some(error) = wrong.into_iter().next() {
        return Err(error);
    }
    let sent = sent.ok_or_else(|| {
        let error = section.error("To", "names who gets mails, but nothing says how mails leave");
        error.with_hint("give `MailSettings`, with a server or a folder")
    })?;
    Ok(Some((sent, to, language)))
}
