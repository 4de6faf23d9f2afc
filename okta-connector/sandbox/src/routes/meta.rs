//! User types, schemas and linked-object definitions over HTTP.
//! Okta: lists here have no Link; a missing type is a `CVDType`; a linked object is found by either of its names.

use hyper::Method;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::org::Org;
use crate::routes::unknown;
use crate::schema::{UserType, take_custom};
use crate::wire::{Answer, Call, Outcome};

pub(crate) fn read(call: &Call, org: &Org, rest: &[&str]) -> Outcome {
    match rest {
        ["types", "user"] => {
            let values: Value = org.schemas.types.iter().map(|known| known.value(&org.base)).collect();
            Ok(Answer::value(200, &values))
        }
        ["types", "user", id] => {
            let id = if *id == "default" { &*org.default_type } else { id };
            let known = org.schemas.of_type(id).ok_or_else(|| ApiError::not_found(id, "CVDType"))?;
            Ok(Answer::value(200, &known.value(&org.base)))
        }
        ["schemas", "user", "linkedObjects"] => Ok(Answer::value(200, &Value::from(org.schemas.linked.clone()))),
        ["schemas", "user", "linkedObjects", name] => Ok(Answer::value(200, &org.schemas.linked[linked(org, name)?])),
        ["schemas", "user", schema] => {
            let mut types = org.schemas.types.iter();
            let known = types.find(|known| (known.default && *schema == "default") || known.schema_id() == *schema);
            let known = known.ok_or_else(|| ApiError::not_found(schema, "UserSchema"))?;
            Ok(Answer::value(200, &org.schemas.user_schema(known)))
        }
        ["schemas", "group", "default"] => Ok(Answer::value(200, &org.schemas.group_schema())),
        ["schemas", "apps", id, "default"] => app_schema(org, id),
        _ => Err(unknown(call)),
    }
}

pub(crate) fn write(call: &Call, org: &mut Org, rest: &[&str]) -> Outcome {
    match (&call.method, rest) {
        (&Method::POST, ["types", "user"]) => create_type(call, org),
        (&Method::POST | &Method::PUT, ["types", "user", id]) => {
            let request = call.object()?;
            let base = org.base.clone();
            let known = org.schemas.types.iter_mut().find(|known| known.id == *id);
            let known = known.ok_or_else(|| ApiError::not_found(id, "CVDType"))?;
            if let Some(given) = request.get("displayName") {
                known.display_name = given.clone();
            }
            if let Some(given) = request.get("description") {
                known.description = given.clone();
            }
            known.last_updated = call.now;
            Ok(Answer::value(200, &known.value(&base)))
        }
        (&Method::DELETE, ["types", "user", id]) => {
            let known = org.schemas.of_type(id).ok_or_else(|| ApiError::not_found(id, "CVDType"))?;
            if known.default || org.users.iter().any(|user| *user.type_id == **id) {
                return Err(ApiError::validation("type", "The user type cannot be deleted while it is in use"));
            }
            org.schemas.types.retain(|known| known.id != *id);
            Ok(Answer::empty(204))
        }
        (&Method::POST, ["schemas", "user", "linkedObjects"]) => create_linked(call, org),
        (&Method::DELETE, ["schemas", "user", "linkedObjects", name]) => {
            let at = linked(org, name)?;
            org.schemas.linked.remove(at);
            org.links.retain(|(_, relationship), _| relationship != name);
            Ok(Answer::empty(204))
        }
        (&Method::POST, ["schemas", "user", schema]) => {
            let request = call.object()?;
            let known = org.schemas.of_schema(schema).ok_or_else(|| ApiError::not_found(schema, "UserSchema"))?;
            take_custom(&mut known.custom, &request, false);
            known.schema_updated = call.now;
            read(call, org, rest)
        }
        (&Method::POST, ["schemas", "group", "default"]) => {
            take_custom(&mut org.schemas.group_custom, &call.object()?, true);
            org.schemas.group_updated = call.now;
            read(call, org, rest)
        }
        _ => Err(unknown(call)),
    }
}

fn create_type(call: &Call, org: &mut Org) -> Outcome {
    let request = call.object()?;
    let name = request.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(ApiError::validation("name", "name: The field cannot be left blank"));
    }
    if org.schemas.types.iter().any(|known| known.name == name) {
        return Err(ApiError::duplicate("name"));
    }
    let field = |key: &str| request.get(key).cloned().unwrap_or(Value::Null);
    let known = UserType {
        id: org.ids.next("oty"),
        name: name.to_owned(),
        display_name: field("displayName"),
        description: field("description"),
        default: false,
        by: call.caller.clone(),
        created: call.now,
        last_updated: call.now,
        custom: Map::new(),
        schema_updated: call.now,
    };
    let answer = Answer::value(200, &known.value(&org.base));
    org.schemas.types.push(known);
    Ok(answer)
}

fn create_linked(call: &Call, org: &mut Org) -> Outcome {
    let request = Value::from(call.object()?);
    let primary = request["primary"]["name"].as_str().unwrap_or_default();
    if primary.is_empty() || request["associated"]["name"].as_str().is_none_or(str::is_empty) {
        return Err(ApiError::validation("name", "name: The field cannot be left blank"));
    }
    if linked(org, primary).is_ok() {
        return Err(ApiError::duplicate("name"));
    }
    let side = |name: &str| {
        let given = &request[name];
        json!({"name": given["name"], "title": given["title"], "description": given["description"], "type": "USER"})
    };
    let address = format!("{}/api/v1/meta/schemas/user/linkedObjects/{primary}", org.base);
    let made =
        json!({"primary": side("primary"), "associated": side("associated"), "_links": {"self": {"href": address}}});
    let answer = Answer::value(201, &made);
    org.schemas.linked.push(made);
    Ok(answer)
}

fn linked(org: &Org, name: &str) -> Result<usize, ApiError> {
    let found = |known: &Value| known["primary"]["name"] == name || known["associated"]["name"] == name;
    org.schemas.linked.iter().position(found).ok_or_else(|| ApiError::not_found(name, "LinkedObjectProperty"))
}

fn app_schema(org: &Org, id: &str) -> Outcome {
    let app =
        org.apps.row(id).and_then(|row| org.apps.get(row)).ok_or_else(|| ApiError::not_found(id, "AppInstance"))?;
    Ok(Answer::value(
        200,
        &json!({
            "id": format!("{}/meta/schemas/apps/{id}/default", org.base),
            "$schema": "http://json-schema.org/draft-04/schema#",
            "name": app.label(),
            "title": format!("{} User", app.label()),
            "definitions": {
                "custom": {"id": "#custom", "type": "object", "properties": {}, "required": []},
                "base": {"id": "#base", "type": "object", "required": ["userName"], "properties": {
                    "userName": {"title": "Username", "type": "string", "required": true, "scope": "NONE", "maxLength": 100}}},
            },
            "type": "object",
            "properties": {"profile": {"allOf": [{"$ref": "#/definitions/custom"}, {"$ref": "#/definitions/base"}]}},
        }),
    ))
}
