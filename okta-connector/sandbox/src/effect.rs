//! Whether a write changed anything but dates: what it is about, before and after, as one number.
//! A membership that is there already, a profile sent again, a step the status refuses: none has an effect.
//! Only what the path names is looked at, besides how many records there are, so that it costs little.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use crate::org::Org;
use crate::routes::user_row;
use crate::wire::Call;

/// The state a write may change, apart from dates.
pub(crate) fn state(org: &Org, call: &Call) -> u64 {
    let mut hash = DefaultHasher::new();
    let counts = org.counts_of_all();
    counts.hash(&mut hash);
    let segments: Vec<&str> = call.segments.iter().skip(2).map(String::as_str).collect();
    match segments.as_slice() {
        ["users", id, ..] => of_user(org, call, id, &mut hash),
        ["groups", "rules", ..] => {
            for rule in &org.rules {
                (rule.status, &rule.name, &rule.expression, &rule.groups).hash(&mut hash);
            }
        }
        ["groups", id, rest @ ..] => of_group(org, call, id, rest, &mut hash),
        ["apps", id, rest @ ..] => of_app(org, call, id, rest, &mut hash),
        ["meta", ..] => {
            for known in &org.schemas.types {
                (known.display_name.to_string(), known.description.to_string()).hash(&mut hash);
                Value::from(known.custom.clone()).to_string().hash(&mut hash);
            }
            Value::from(org.schemas.group_custom.clone()).to_string().hash(&mut hash);
        }
        ["principal-rate-limits", ..] => {
            org.tokens.all.iter().for_each(|token| token.percentages.hash(&mut hash));
            org.oauth.state().clients.iter().for_each(|client| client.percentages.hash(&mut hash));
        }
        _ => {}
    }
    hash.finish()
}

fn of_user(org: &Org, call: &Call, id: &str, hash: &mut DefaultHasher) {
    let Some(row) = user_row(call, org, id) else { return };
    let Some(user) = org.users.get(row) else { return };
    // A deletion under way will have its effect.
    org.is_under_way(row).hash(hash);
    (user.status.as_str(), user.becoming.map(|status| status.as_str()), &user.type_id, user.provider).hash(hash);
    (user.profile_text(), user.password, user.question.as_ref().map(|known| (&known.question, known.answer)))
        .hash(hash);
    roles(org, &user.id, hash);
    for ((from, relationship), to) in org.links.range((user.id.to_string(), String::new())..) {
        if **from != *user.id {
            break;
        }
        (relationship, to).hash(hash);
    }
}

fn of_group(org: &Org, call: &Call, id: &str, rest: &[&str], hash: &mut DefaultHasher) {
    let Some(row) = org.groups.row(id) else { return };
    if let ["users", user, ..] = rest {
        user_row(call, org, user).map(|user| org.is_member(row, user)).hash(hash);
        return;
    }
    org.groups.get(row).map(|group| &group.profile).hash(hash);
    org.owners.get(id).map(|owners| Value::from(owners.clone()).to_string()).hash(hash);
    roles(org, id, hash);
}

fn of_app(org: &Org, call: &Call, id: &str, rest: &[&str], hash: &mut DefaultHasher) {
    let Some(app) = org.apps.row(id).and_then(|row| org.apps.get(row)) else { return };
    match rest {
        ["groups", ..] => {
            app.groups.iter().for_each(|known| (known.group, known.priority, &known.profile).hash(hash));
        }
        ["users", rest @ ..] => {
            let request = call.object().unwrap_or_default();
            let named = rest.first().copied().or_else(|| request.get("id")?.as_str()).unwrap_or_default();
            let known = user_row(call, org, named).and_then(|row| app.users.get(&row));
            (app.users.len(), known.map(|known| (&known.user_name, &known.profile))).hash(hash);
        }
        _ => (app.active, Value::from(app.body.clone()).to_string(), app.keys.len()).hash(hash),
    }
}

fn roles(org: &Org, id: &str, hash: &mut DefaultHasher) {
    for role in org.roles.get(id).into_iter().flatten() {
        (&role.id, &role.targets).hash(hash);
    }
}
