//! From an order in properties to an order in columns: each word is looked up, nothing is guessed.
//!
//! A property that is not mapped makes the order Errored with the property's name, because leaving it out would report
//! as done what was not. Absent leaves a value as it is; null and empty clear it. A password leaves the text here and
//! is a secret from then on.

use connector_api::{
    ChangeType, LinkAction, LinkChange, NewPassword, ProvisioningOrder, RecordKey,
    mapping::{Navigation, NavigationPlace, OktaResourceTypeMapping, PasswordResetMode},
};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{
    text::{OrderText, member, plain},
    vocabulary::{Entity, Vocabulary},
};

/// The column that is no value of a record, but the password of an account.
const PASSWORD: &str = "credentials.password.value";

/// An order in columns.
#[derive(Debug)]
pub struct Resolved {
    /// What a connector is asked for.
    pub order: ProvisioningOrder,
    /// By what the record is known, as far as the order says: columns and values, the key first.
    pub names: Vec<RecordKey>,
    /// What a reader of the results should know.
    pub note: Option<String>,
    /// Where the order makes an account that gets its first password from us.
    pub first_password: Option<WantedPassword>,
}

/// A first password that is wanted.
#[derive(Debug)]
pub struct WantedPassword {
    /// The `PasswordResetSettings` that say how.
    pub setting: String,
    /// The person that the order is for, as it carries them.
    pub owner: Value,
}

impl Vocabulary<'_> {
    /// The order in columns.
    ///
    /// # Errors
    /// The reason for which the order cannot be carried out, fit for its result.
    pub(super) fn resolve(&self, mut text: OrderText) -> Result<Resolved, String> {
        let head = text.head();
        let change = match head.change.to_ascii_lowercase().as_str() {
            "added" => ChangeType::Added,
            "modified" => ChangeType::Modified,
            "deleted" => ChangeType::Deleted,
            "" => return Err("its `ChangeType` is missing: write Added, Modified or Deleted".to_owned()),
            _ => return Err(format!("its `ChangeType` is `{}`: write Added, Modified or Deleted", head.change)),
        };
        for section in ["Changes", "Resource", "ResourceType"] {
            if text.is_malformed(section) {
                return Err(format!("its `{section}` is no object"));
            }
        }
        let (entity, resource_type) = self.target(&text)?;
        let resource = text.section("Resource").or_else(|| text.section("Resources")).cloned().unwrap_or_default();
        let mut order = ProvisioningOrder::new(head.id, change, entity.table);
        order.unique = entity.unique.iter().map(|(_, column)| (*column).to_owned()).collect();
        let mut names = names(entity, &resource);
        if change != ChangeType::Added {
            let key = names.first().cloned();
            order.key = Some(key.ok_or_else(|| missing_key(entity))?);
        }
        let must_change = resource_type
            .and_then(|it| self.password_settings(it.password_reset_setting.as_deref()?))
            .is_some_and(|settings| settings.must_change);
        let mut changes = text.take_changes();
        if change != ChangeType::Deleted {
            for (property, value) in std::mem::take(&mut changes) {
                self.change(entity, &resource, &mut order, &property, value, must_change)?;
            }
        }
        if change == ChangeType::Added {
            for (_, column) in &entity.unique {
                let value = order.values.get(*column).and_then(plain);
                names.extend(value.map(|value| RecordKey { column: (*column).to_owned(), value }));
            }
        }
        let owner = text.section("Owner").cloned().unwrap_or_default();
        let (first_password, note) = match self.first_password(&mut order, resource_type)? {
            Ok(setting) => (setting.map(|setting| WantedPassword { setting, owner: owner.into() }), None),
            Err(note) => (None, Some(note)),
        };
        Ok(Resolved { order, names, note, first_password })
    }

    /// The entity type on its table, and the resource type where the mapping knows it.
    fn target(&self, text: &OrderText) -> Result<(&Entity<'_>, Option<&OktaResourceTypeMapping>), String> {
        let section = text.section("ResourceType").ok_or("its `ResourceType` is missing")?;
        let identifier = |members: &Map<String, Value>| member(members, "Identifier").and_then(plain);
        let entity_type = member(section, "TargetEntityType").and_then(Value::as_object).and_then(identifier);
        let name = identifier(section);
        let resource_type = name.as_deref().and_then(|name| self.resource_type(name));
        if let Some(other) = resource_type.filter(|it| !self.connection().is(&it.connection)) {
            let (name, other) = (&other.identifier, &other.connection);
            return Err(format!("it is for the connection `{other}`, to which its resource type `{name}` belongs"));
        }
        let class = resource_type.and_then(|it| it.default_object_class.as_deref());
        let table = class.and_then(|class| class.lines().map(str::trim).find(|line| !line.is_empty()));
        if entity_type.is_none() && table.is_none() {
            let of = name.map_or_else(String::new, |name| format!(" of `{name}`"));
            return Err(format!("`TargetEntityType.Identifier`{of} is missing in its `ResourceType`"));
        }
        Ok((self.entity(entity_type.as_deref(), table)?, resource_type))
    }

    /// One member of `Changes`.
    fn change(
        &self,
        entity: &Entity<'_>,
        resource: &Map<String, Value>,
        order: &mut ProvisioningOrder,
        property: &str,
        value: Value,
        must_change: bool,
    ) -> Result<(), String> {
        if let Some(column) = entity.properties.get(&property.to_lowercase()).copied().flatten() {
            if column.eq_ignore_ascii_case(PASSWORD) {
                order.password = password(property, value, must_change)?;
            } else {
                let value = if value.as_str() == Some("") { Value::Null } else { value };
                order.values.insert(column.to_owned(), value);
            }
            return Ok(());
        }
        if let Some(navigation) = self.navigation(entity, property) {
            return self.follow(navigation, resource, order, property, &value);
        }
        for (suffix, action) in [("_add", LinkAction::Add), ("_remove", LinkAction::Remove)] {
            let (Some(name), false) = (strip_suffix(property, suffix), value.is_null()) else { continue };
            if let Some(navigation) = self.navigation(entity, name) {
                return self.link_all(navigation, order, property, &value, action);
            }
        }
        Err(unknown(entity, property, self.connection().as_str()))
    }

    /// `<Navigation>_add` and `<Navigation>_remove`: a list of references, or one.
    fn link_all(
        &self,
        navigation: &Navigation,
        order: &mut ProvisioningOrder,
        property: &str,
        value: &Value,
        action: LinkAction,
    ) -> Result<(), String> {
        let NavigationPlace::Links { table, side } = navigation.place else {
            return Err(format!("`{property}`: the property holds one link; write it without `_add` or `_remove`"));
        };
        let references = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
        for reference in references {
            let other = self.reference(navigation, property, reference)?;
            let link = LinkChange { table: table.to_owned(), side, other, action, values: Default::default() };
            let opposite = |known: &&LinkChange| {
                known.table == link.table && known.side == side && known.other == link.other && known.action != action
            };
            if order.links.iter().find(opposite).is_some() {
                return Err(format!("it wants the link to `{}` both added and removed", link.other.value));
            }
            if !order.links.contains(&link) {
                order.links.push(link);
            }
        }
        Ok(())
    }

    /// A navigation by its own name: the one link that shall be there, or null for none.
    fn follow(
        &self,
        navigation: &Navigation,
        resource: &Map<String, Value>,
        order: &mut ProvisioningOrder,
        property: &str,
        value: &Value,
    ) -> Result<(), String> {
        let is_cleared = value.is_null() || value.as_str() == Some("");
        if let NavigationPlace::Column { column, .. } = &navigation.place {
            let reference = if is_cleared { None } else { Some(self.reference(navigation, property, value)?) };
            order.values.insert(column.clone(), reference.map_or(Value::Null, |key| Value::String(key.value)));
            return Ok(());
        }
        if navigation.is_collection {
            let advice = format!("write `{property}_add` and `{property}_remove`");
            return Err(format!("`{property}` may hold several links: {advice}"));
        }
        let former = member(resource, property).filter(|former| !former.is_null());
        let former = former.map(|former| self.reference(navigation, property, former)).transpose()?;
        let wanted = if is_cleared { None } else { Some(self.reference(navigation, property, value)?) };
        if wanted.is_none() && former.is_none() && order.change != ChangeType::Added {
            return Err(format!("`{property}` is to be cleared, but its `Resource` does not say what it leads to"));
        }
        if former == wanted {
            return Ok(());
        }
        let NavigationPlace::Links { table, side } = navigation.place else { return Ok(()) };
        for (other, action) in [(former, LinkAction::Remove), (wanted, LinkAction::Add)] {
            let link = |other| LinkChange { table: table.to_owned(), side, other, action, values: Default::default() };
            order.links.extend(other.map(link));
        }
        Ok(())
    }

    /// The record that a reference names: an object with one of its keys, or the plain value of the first of them.
    fn reference(&self, navigation: &Navigation, property: &str, value: &Value) -> Result<RecordKey, String> {
        let names = self.names_of_other(navigation);
        let found = match value {
            Value::Object(members) => names
                .iter()
                .find_map(|(name, column)| Some(((*column).to_owned(), member(members, (*name)?).and_then(plain)?))),
            other => names.first().and_then(|(_, column)| Some(((*column).to_owned(), plain(other)?))),
        };
        found.map(|(column, value)| RecordKey { column, value }).ok_or_else(|| {
            let key = names.iter().find_map(|(name, _)| *name).unwrap_or("key");
            format!(
                "a reference in `{property}` does not say which `{}` it is: its `{key}` is missing",
                navigation.other
            )
        })
    }

    /// The settings that give an account which is added without a password its first one, and that password where it
    /// is written there; a note where its owner chooses one.
    fn first_password(
        &self,
        order: &mut ProvisioningOrder,
        resource_type: Option<&OktaResourceTypeMapping>,
    ) -> Result<Result<Option<String>, String>, String> {
        let setting = resource_type.and_then(|it| it.password_reset_setting.as_deref());
        let (Some(setting), ChangeType::Added, None) = (setting, order.change, &order.password) else {
            return Ok(Ok(None));
        };
        let settings = self.password_settings(setting);
        let settings =
            settings.ok_or_else(|| format!("the password reset settings `{setting}` are not in the mapping"))?;
        if settings.mode == PasswordResetMode::TwoWay {
            return Ok(Err(format!("added without a password: `{}` lets its owner choose one", settings.identifier)));
        }
        if settings.mode == PasswordResetMode::Disabled {
            return Ok(Ok(None));
        }
        if !settings.auto_generate {
            let password = settings.default_password.clone();
            order.password = password.map(|value| NewPassword { value, must_change: settings.must_change });
        }
        let is_ours = settings.auto_generate || order.password.is_some();
        Ok(Ok(is_ours.then(|| settings.identifier.clone())))
    }
}

fn password(property: &str, value: Value, must_change: bool) -> Result<Option<NewPassword>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(NewPassword { value: SecretString::from(text), must_change })),
        _ => Err(format!("`{property}` is no text")),
    }
}

/// By what the section `Resource` names the record: the primary key first, then the other unique keys.
fn names(entity: &Entity<'_>, resource: &Map<String, Value>) -> Vec<RecordKey> {
    let keys = entity.key.iter().chain(&entity.unique);
    let given = keys.filter_map(|(property, column)| Some((*column, member(resource, property).and_then(plain)?)));
    given.map(|(column, value)| RecordKey { column: column.to_owned(), value }).collect()
}

fn missing_key(entity: &Entity<'_>) -> String {
    let key = entity.key.map_or("key", |(property, _)| property);
    format!("its `Resource` does not say which `{}` it is for: `{key}` is missing", entity.name)
}

fn unknown(entity: &Entity<'_>, property: &str, connection: &str) -> String {
    let shown: String = property.chars().filter(|c| !c.is_control()).take(80).collect();
    match entity.properties.get(&property.to_lowercase()) {
        Some(_) => format!("the property `{shown}` of `{}` is mapped to no column", entity.name),
        None => format!("the property `{shown}` of `{}` is not in the mapping of `{connection}`", entity.name),
    }
}

/// The text without `suffix`, whatever its case.
fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (name, end) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(name)
}
