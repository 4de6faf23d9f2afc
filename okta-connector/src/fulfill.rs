//! Carrying out provisioning orders: read, decide, carry out.
//!
//! Deciding is pure and one: a preview shows what it comes to, fulfilment carries it out, so the two cannot disagree.
//! Nothing is read that the decision does not need: a creation and a link cost one request each.
//! Source: Okta's API reference; which call each order takes is in the README.

mod values;
mod attributes;
mod found;
mod schemas;
mod guards;
mod refusals;
mod links;
mod steps;
mod status;
mod users;
mod groups;
mod apps;
mod create;

use connector_api::{
    ChangeType, Effect, Error, ErrorKind, ForeseenEffect, Fulfillment, Journal, Outlook, Preview, ProvisioningOrder,
    RecordKey, Result,
};
use serde_json::Value;

use self::{
    apps::WantedApp,
    found::Noun,
    links::Link,
    steps::{Carrier, Decision},
    users::{MAX_GROUPS_AT_CREATION, Origin, WantedUser},
    values::{refused, text_at},
};
use crate::{
    client::{Client, Write},
    settings::{OktaSettings, OnDelete},
    tables::bucket,
};

/// What is learnt of the organisation while orders are carried out.
#[derive(Debug, Default)]
pub(crate) struct Known {
    schemas: schemas::Schemas,
    guards: guards::Guards,
    turns: create::Turns,
}

impl Known {
    /// Refuses what would change an account that nothing here may touch.
    ///
    /// # Errors
    /// Kind `Rejected` for a protected account and for the one that this connection signs in as.
    pub(crate) async fn check_account(&self, client: &Client, id: &str) -> Result<()> {
        self.guards.check(client, Noun::User, id).await?;
        self.guards.check_own(client, id).await
    }
}

/// What an order asks for, as far as it can be told without a request.
pub(crate) fn outlook(settings: &OktaSettings, order: &ProvisioningOrder) -> Outlook {
    let Some(noun) = Noun::of_table(&order.table) else {
        return Outlook { lane: bucket::REST, deletes: false, deactivates: false };
    };
    let is_user = noun == Noun::User;
    let takes_out = match noun {
        Noun::User => users::status_of(&order.values).ok().flatten().is_some_and(status::Wanted::is_out_of_use),
        Noun::Group => false,
        Noun::App => apps::is_active(order).ok().flatten() == Some(false),
    };
    let is_deleted = order.change == ChangeType::Deleted;
    let keeps = is_user && settings.on_delete != OnDelete::Delete;
    let changes_status = order.values.keys().any(|column| column.eq_ignore_ascii_case("status"));
    let changes_values = order.values.len() > usize::from(changes_status) || order.password.is_some();
    let lane = match order.change {
        ChangeType::Added => noun.bucket(),
        ChangeType::Deleted if keeps => noun.bucket(),
        ChangeType::Deleted => noun.single_bucket(),
        ChangeType::Modified if changes_values => noun.single_bucket(),
        ChangeType::Modified if changes_status => noun.bucket(),
        ChangeType::Modified => order.links.first().map_or(noun.bucket(), links::bucket_of),
    };
    Outlook { lane, deletes: is_deleted && !keeps, deactivates: if is_deleted { keeps } else { takes_out } }
}

/// Foretells what `fulfill` would do now.
pub(crate) async fn preview(client: &Client, known: &Known, order: &ProvisioningOrder) -> Result<Preview> {
    let task = Task::of(client, known, order).await?;
    let mut adopted = None;
    let decision = match order.change {
        ChangeType::Added => {
            adopted = task.there_already().await?;
            task.foresee_creation(adopted.as_ref()).await?
        }
        ChangeType::Modified => {
            let record = found::find(client, task.noun, task.key()?).await?;
            let record = record.ok_or_else(|| found::missing(task.noun, task.key_or_none()))?;
            let id = text_at(&record, "id").to_owned();
            task.check_record(&id).await?;
            let links = task.missing_links(&id).await?;
            task.decide(&record, Origin::Known, &links).await?
        }
        ChangeType::Deleted => match found::find(client, task.noun, task.key()?).await? {
            None => Decision::nothing(),
            Some(record) => {
                task.check_record(text_at(&record, "id")).await?;
                task.removal(&record)?
            }
        },
    };
    let note = decision.note();
    let record = adopted.map(|record| text_at(&record, "id").to_owned());
    Ok(Preview { effect: decision.effect, record, changes: decision.changes, note })
}

/// Carries the order out.
pub(crate) async fn fulfill(
    client: &Client,
    known: &Known,
    order: &ProvisioningOrder,
    journal: &dyn Journal,
) -> Result<Fulfillment> {
    let task = Task::of(client, known, order).await?;
    match order.change {
        ChangeType::Added => task.add(journal).await,
        ChangeType::Modified => task.modify(journal).await,
        ChangeType::Deleted => task.delete(journal).await,
    }
}

/// An order on its way.
struct Task<'a> {
    client: &'a Client,
    known: &'a Known,
    order: &'a ProvisioningOrder,
    noun: Noun,
    links: Vec<Link>,
}

impl<'a> Task<'a> {
    /// Checks what needs no record: the table, and the links with what they lead to.
    async fn of(client: &'a Client, known: &'a Known, order: &'a ProvisioningOrder) -> Result<Self> {
        let Some(noun) = Noun::of_table(&order.table) else {
            let message = format!("records of `{}` are written as links of a user, group or app", order.table);
            return Err(Error::new(ErrorKind::Unsupported, message)
                .with_hint("provision the association, or one of the tables users, groups and apps"));
        };
        let links = match order.change {
            // What is deleted has no links.
            ChangeType::Deleted => Vec::new(),
            _ => links::of_order(client, noun, &order.links).await?,
        };
        if noun != Noun::User && order.password.is_some() {
            let message = format!("a {} has no password that an order could set", noun.in_words());
            return Err(refused(message, "take the property out of the provisioning rules"));
        }
        for link in &links {
            let (other, id) = link.touches();
            known.guards.check(client, other, id).await?;
        }
        Ok(Self { client, known, order, noun, links })
    }

    fn key(&self) -> Result<&'a RecordKey> {
        self.order.key.as_ref().filter(|key| !key.value.is_empty()).ok_or_else(|| {
            refused(
                format!("the order says not which {} it is about", self.noun.in_words()),
                "its `Resource` must hold the primary key of the entity type",
            )
        })
    }

    /// The key for messages.
    fn key_or_none(&self) -> &RecordKey {
        const NONE: &RecordKey = &RecordKey { column: String::new(), value: String::new() };
        self.order.key.as_ref().unwrap_or(NONE)
    }

    /// Refuses what must not be touched.
    async fn check_record(&self, id: &str) -> Result<()> {
        match self.noun {
            Noun::User => self.known.check_account(self.client, id).await?,
            noun => self.known.guards.check(self.client, noun, id).await?,
        }
        let outlook = outlook(self.client.settings(), self.order);
        let own_app = self.client.settings().auth.app().map(|app| app.client_id());
        if self.noun == Noun::App && (outlook.deletes || outlook.deactivates) && own_app == Some(id) {
            return Err(refused(
                format!("the app `{id}` is the one this connection signs in as: it is never deactivated or deleted"),
                "its credentials would die with it; give the connection another app first",
            ));
        }
        Ok(())
    }

    async fn add(&self, journal: &dyn Journal) -> Result<Fulfillment> {
        let name = self.name()?;
        let _turn = self.known.turns.enter(self.noun, &name).await;
        let (joined, rest) = self.joined_at_creation();
        let write = self.creation(&joined).await?;
        let made = match create::create(self.client, journal, self.noun, self.order, &write).await {
            Ok(made) => made,
            Err(error) => return Err(self.why_not_made(error, &joined).await),
        };
        let id = text_at(&made.record, "id").to_owned();
        if made.origin != Origin::Created {
            self.check_record(&id).await?;
        }
        let links = if made.origin == Origin::Created { rest } else { self.links.clone() };
        let mut carrier = self.carrier(journal, &id);
        if made.origin == Origin::Created {
            carrier.done.push(format!("created as `{id}`"));
        }
        carrier.has_changed = made.has_changed;
        let decided = self.decide(&made.record, made.origin, &links).await;
        let fulfillment = self.carry_out(carrier, decided).await?;
        // One that is in use keeps the password it has.
        let is_fresh = match made.origin {
            Origin::Created => true,
            Origin::Ours => values::at(&made.record, "lastLogin").is_null(),
            Origin::Adopted | Origin::Known => false,
        };
        Ok(Fulfillment { has_first_password: self.order.password.is_some() && is_fresh, ..fulfillment })
    }

    /// The refusal of a creation, or what is wrong with the groups it was to join, which Okta does not name.
    async fn why_not_made(&self, error: Error, joined: &[String]) -> Error {
        if matches!(error.kind(), ErrorKind::Rejected | ErrorKind::NotFound) {
            for link in self.links.iter().filter(|link| joined.contains(&link.other)) {
                if let Err(reason) = links::check_other(self.client, link).await {
                    return reason;
                }
            }
        }
        error
    }

    async fn modify(&self, journal: &dyn Journal) -> Result<Fulfillment> {
        let key = self.key()?;
        let is_links_alone = self.order.values.is_empty() && self.order.password.is_none();
        if is_links_alone && key.column.eq_ignore_ascii_case("id") {
            let id = found::checked_id(self.noun, &key.value)?;
            self.check_record(id).await?;
            let steps = links::in_turn(&self.links).into_iter().map(steps::Step::Links).collect();
            let decision = Decision { steps, ..Decision::nothing() };
            return self.carry_out(self.carrier(journal, id), Ok(decision)).await;
        }
        let record = found::find(self.client, self.noun, key).await?;
        let record = record.ok_or_else(|| found::missing(self.noun, key))?;
        let id = text_at(&record, "id");
        self.check_record(id).await?;
        let decided = self.decide(&record, Origin::Known, &self.links).await;
        self.carry_out(self.carrier(journal, id), decided).await
    }

    async fn delete(&self, journal: &dyn Journal) -> Result<Fulfillment> {
        let key = self.key()?;
        let Some(record) = found::find(self.client, self.noun, key).await? else {
            let note = Some(format!("the {} was gone already", self.noun.in_words()));
            let (key, effect) = (key.value.clone(), Effect::AlreadyInPlace);
            return Ok(Fulfillment { key, effect, note, has_first_password: false });
        };
        let id = text_at(&record, "id");
        self.check_record(id).await?;
        let decided = self.removal(&record);
        self.carry_out(self.carrier(journal, id), decided).await
    }

    fn carrier<'c>(&'c self, journal: &'c dyn Journal, id: &str) -> Carrier<'c> {
        let (done, id) = (Vec::new(), id.to_owned());
        Carrier { client: self.client, journal, noun: self.noun, id, done, has_changed: false }
    }

    async fn carry_out(&self, mut carrier: Carrier<'_>, decided: Result<Decision>) -> Result<Fulfillment> {
        let decision = decided.map_err(|error| carrier.with_what_was_done(error))?;
        let note = decision.note();
        carrier.carry_out(decision.steps).await?;
        let effect = if carrier.has_changed { Effect::Changed } else { Effect::AlreadyInPlace };
        Ok(Fulfillment { key: carrier.id, effect, note, has_first_password: false })
    }

    /// What an order to create would find in the place of its record.
    async fn there_already(&self) -> Result<Option<Value>> {
        self.name()?;
        self.creation(&[]).await?;
        create::existing(self.client, self.noun, self.order).await
    }

    /// What an order to create comes to, where this is there already or nothing is.
    async fn foresee_creation(&self, there: Option<&Value>) -> Result<Decision> {
        if let Some(record) = there {
            let id = text_at(record, "id");
            self.check_record(id).await?;
            let links = self.missing_links(id).await?;
            return self.decide(record, Origin::Adopted, &links).await;
        }
        for link in &self.links {
            links::check_other(self.client, link).await?;
        }
        match self.noun {
            Noun::User => self.wanted_user(None, true).await?.as_new(self.client.settings(), &self.links),
            Noun::Group => {
                let profile = self.wanted_group(true).await?;
                let given = profile.iter().filter(|(_, value)| !value.is_null());
                let mut changes: Vec<_> =
                    given.map(|(name, value)| values::change(format!("profile.{name}"), &Value::Null, value)).collect();
                changes.extend(self.links.iter().map(Link::change));
                Ok(Decision { effect: ForeseenEffect::Create, changes, ..Decision::nothing() })
            }
            Noun::App => WantedApp::of(self.order, true)?.as_new(&self.links),
        }
    }

    /// What is to be done with the record.
    async fn decide(&self, record: &Value, origin: Origin, links: &[Link]) -> Result<Decision> {
        match self.noun {
            Noun::User => {
                let user_type = users::type_of(&self.order.values).or(Some(text_at(record, "type.id")));
                let attributes = self.known.schemas.of_users(self.client, user_type, &self.order.values).await?;
                let wanted = WantedUser::of(self.order, &attributes, origin != Origin::Known)?;
                wanted.decide(record, origin, &attributes, self.client.settings(), links)
            }
            Noun::Group => groups::decide(self.wanted_group(origin != Origin::Known).await?, record, origin, links),
            Noun::App => WantedApp::of(self.order, origin != Origin::Known)?.decide(record, origin, links),
        }
    }

    fn removal(&self, record: &Value) -> Result<Decision> {
        match self.noun {
            Noun::User => users::removal(record, self.client.settings()),
            Noun::Group => groups::removal(record),
            Noun::App => apps::removal(record),
        }
    }

    async fn creation(&self, joined: &[String]) -> Result<Write> {
        match self.noun {
            Noun::User => self.wanted_user(None, true).await?.creation(self.client.settings(), joined),
            Noun::Group => Ok(groups::creation(&self.wanted_group(true).await?)),
            Noun::App => WantedApp::of(self.order, true)?.creation(),
        }
    }

    async fn wanted_user(&self, user_type: Option<&str>, is_new: bool) -> Result<WantedUser<'a>> {
        let user_type = users::type_of(&self.order.values).or(user_type);
        let attributes = self.known.schemas.of_users(self.client, user_type, &self.order.values).await?;
        WantedUser::of(self.order, &attributes, is_new)
    }

    async fn wanted_group(&self, is_new: bool) -> Result<serde_json::Map<String, Value>> {
        if !is_new && self.order.values.is_empty() {
            return Ok(serde_json::Map::new());
        }
        let attributes = self.known.schemas.of_groups(self.client, &self.order.values).await?;
        groups::wanted(self.order, &attributes, is_new)
    }

    fn name(&self) -> Result<String> {
        let name = create::name_of(self.noun, self.order);
        if !name.is_empty() {
            return Ok(name);
        }
        let (noun, column) = (self.noun.in_words(), self.noun.name_column());
        Err(refused(format!("a new {noun} needs `{column}`"), "map the property, and give it a value in the rules"))
    }

    /// The groups that a new account joins as it is created, and the links that are left.
    fn joined_at_creation(&self) -> (Vec<String>, Vec<Link>) {
        match self.noun {
            Noun::User => links::joined_at_creation(&self.links, MAX_GROUPS_AT_CREATION),
            _ => (Vec::new(), self.links.clone()),
        }
    }

    /// The links that are not as wanted.
    ///
    /// # Errors
    /// Kind `Rejected` for one that cannot be made.
    async fn missing_links(&self, id: &str) -> Result<Vec<Link>> {
        let mut missing = Vec::new();
        for link in &self.links {
            if !links::foresee(self.client, id, link).await? {
                missing.push(link.clone());
            }
        }
        Ok(missing)
    }
}
