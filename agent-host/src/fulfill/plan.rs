//! What orders would do, told without doing it: reads what it must, writes nothing, keeps nothing.

use std::{collections::HashSet, fmt};

use connector_api::{ChangeType, Connector, Error, ForeseenEffect};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    intake::RejectedFile,
    limits::is_of_the_order,
    run::ADDED_HERE,
    take_up::{OrderReader, TakenUp, Task},
};

/// Orders looked into at once.
const AT_ONCE: usize = 12;

/// What a run would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanReport {
    /// The connection's identifier.
    pub connection: String,
    /// In the order of the files.
    pub orders: Vec<PlannedOrder>,
    /// How many orders there are; more than those above where only the first were looked into.
    pub total: usize,
    /// Files that cannot be read.
    pub rejected: Vec<RejectedFile>,
    /// The safety limits that the orders are over, in words.
    pub over_limit: Vec<String>,
}

/// What an order would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedOrder {
    /// Its name.
    pub id: String,
    /// Its change type as it is written.
    pub change: String,
    /// The table and the key of the record it is about, as far as the record is there.
    pub record: Option<String>,
    /// `create`, `adopt`, `update`, `deactivate`, `delete`, `none`, or `refused`.
    pub effect: String,
    /// Attribute by attribute.
    pub changes: Vec<PlannedChange>,
    /// Why it would be refused, or what else is to be known.
    pub reason: Option<String>,
}

/// One difference that an order would make. Secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedChange {
    /// The column, or the table of links and the other record.
    pub attribute: String,
    /// What is there.
    pub old: Option<String>,
    /// What would be.
    pub new: Option<String>,
}

/// Looks into the first `most` orders.
///
/// # Errors
/// Those of the connector that are about no single order.
pub(super) async fn preview(
    reader: &OrderReader<'_>,
    connector: &dyn Connector,
    most: usize,
) -> Result<Vec<PlannedOrder>, Error> {
    let count = u32::try_from(reader.index.entries.len().min(most)).expect("bounded by MAX_ORDERS");
    let previews = stream::iter(0..count).map(|at| preview_one(reader, connector, at));
    let mut planned: Vec<(PlannedOrder, Role)> = previews.buffered(AT_ONCE).try_collect().await?;
    let adopted: HashSet<u64> = planned
        .iter()
        .filter_map(|(_, role)| if let Role::Adopts(record) = role { Some(*record) } else { None })
        .collect();
    for (order, role) in &mut planned {
        if matches!(role, Role::Deletes(record) if adopted.contains(record)) {
            order.effect = "refused".to_owned();
            order.changes.clear();
            order.reason = Some(ADDED_HERE.to_owned());
        }
    }
    Ok(planned.into_iter().map(|(order, _)| order).collect())
}

/// What an order has to do with a record that others of the run may have to do with.
#[derive(Debug, Clone, Copy)]
enum Role {
    None,
    Adopts(u64),
    Deletes(u64),
}

async fn preview_one(
    reader: &OrderReader<'_>,
    connector: &dyn Connector,
    at: u32,
) -> Result<(PlannedOrder, Role), Error> {
    let TakenUp { head, task, mut notes, first_password } = reader.take_up(at)?;
    let mut planned = PlannedOrder {
        id: head.id,
        change: head.change,
        record: None,
        effect: "none".to_owned(),
        changes: Vec::new(),
        reason: None,
    };
    let mut role = Role::None;
    let record_hash = |record: &str| reader.index.record_hash(at as usize, record);
    match task {
        Task::Nothing | Task::Follow(_) => {}
        Task::Refuse(why) => {
            planned.effect = "refused".to_owned();
            notes = vec![why];
        }
        Task::CarryOut(order) => match connector.preview(&order).await {
            Ok(preview) => {
                let key = preview.record.as_ref().or(order.key.as_ref().map(|key| &key.value));
                planned.record = key.map(|key| format!("{} {key}", order.table));
                planned.effect = preview.effect.to_string();
                role = match (order.change, &order.key, &preview.record) {
                    (ChangeType::Added, _, Some(record)) => Role::Adopts(record_hash(record)),
                    (ChangeType::Deleted, Some(key), _) => Role::Deletes(record_hash(&key.value)),
                    _ => Role::None,
                };
                notes.extend(preview.note);
                let change = |it: connector_api::AttributeChange| PlannedChange {
                    attribute: it.attribute,
                    old: it.old,
                    new: it.new,
                };
                planned.changes = preview.changes.into_iter().map(change).collect();
                if first_password.is_some() && order.password.is_none() && preview.effect == ForeseenEffect::Create {
                    notes.push("its first password is made up when it is carried out".to_owned());
                }
            }
            Err(error) if is_of_the_order(error.kind()) => {
                planned.effect = "refused".to_owned();
                notes = vec![error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))];
            }
            Err(error) => return Err(error),
        },
    }
    planned.reason = Some(notes.join("\n")).filter(|reason| !reason.is_empty());
    Ok((planned, role))
}

/// The plan as people read it.
impl fmt::Display for PlanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for order in &self.orders {
            let reason = order.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
            let record = order.record.as_deref().map_or_else(String::new, |record| format!(" {record}"));
            let PlannedOrder { id, change, effect, .. } = order;
            writeln!(f, "{id:>12} {change:<8} {effect}{record}{}", reason.replace('\n', "; "))?;
            for PlannedChange { attribute, old, new } in &order.changes {
                let shown = |value: &Option<String>| value.as_deref().map_or_else(|| "-".to_owned(), one_line);
                writeln!(f, "{:>21} {attribute}: {} → {}", "", shown(old), shown(new))?;
            }
        }
        for RejectedFile { file, reason } in &self.rejected {
            writeln!(f, "`{}` cannot be read: {reason}", file.display())?;
        }
        for over in &self.over_limit {
            writeln!(f, "Over a safety limit: {over}")?;
        }
        let refused = self.orders.iter().filter(|order| order.effect == "refused").count();
        let idle = self.orders.iter().filter(|order| order.effect == "none").count();
        let (all, name) = (self.orders.len(), &self.connection);
        writeln!(f, "{all} orders for `{name}`: {idle} change nothing, {refused} would be refused. Nothing was sent.")
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}
