//! `/Bulk`: many changes in one request, which may refer to what others of them create.
//!
//! A reference `bulkId:x` makes the operation that creates `x` go first. Where two create each other, the references
//! are left out at first and put in when both are there. Each operation stands for itself: one that fails undoes no
//! other. Source: RFC 7644 §3.7.

use std::collections::HashMap;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::{
    call::{Answer, Call},
    error::{Error, ErrorKind, Result},
    json::{field, is, take, wipe},
    parameters::Parameters,
    preconditions::Preconditions,
    resource::Kind,
};

/// The most operations of a bulk request.
pub const MAX_BULK_OPERATIONS: usize = 1_000;

/// The URN of a bulk request.
pub(crate) const BULK_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

const RESPONSE_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// What stands in front of the name of something that another operation creates.
const REFERENCE: &str = "bulkId:";

/// One operation. What is wrong with it is told where its turn comes.
#[derive(Debug)]
struct Operation {
    method: Method,
    bulk_id: Option<String>,
    version: Option<String>,
    target: Result<Target>,
    data: Value,
}

#[derive(Debug, Clone)]
struct Target {
    kind: Kind,
    /// None to create.
    id: Option<String>,
}

/// An operation when its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    operation: usize,
    /// Whether it refers to something that is created only after it.
    is_circular: bool,
}

/// What was created under which name.
type Created = HashMap<String, String>;

/// Answers a bulk request. Errors: 413 where it has too many operations, `invalidSyntax`.
pub(crate) async fn answer(call: &Call<'_>, body: Value) -> Result<Answer> {
    let (operations, fail_on_errors) = read(body)?;
    let mut created = Created::new();
    let mut results: Vec<Option<Value>> = operations.iter().map(|_| None).collect();
    let mut circular = Vec::new();
    let mut errors = 0;
    for step in steps(&operations) {
        if fail_on_errors.is_some_and(|limit| errors >= limit) {
            break;
        }
        let operation = &operations[step.operation];
        let outcome = run(call, operation, &created, step.is_circular).await;
        match &outcome {
            Ok((_, id)) => {
                if let (&Method::POST, Some(name)) = (&operation.method, &operation.bulk_id) {
                    created.insert(name.clone(), id.clone());
                }
                if step.is_circular {
                    circular.push((step.operation, id.clone()));
                }
            }
            Err(_) => errors += 1,
        }
        results[step.operation] = Some(result(call, operation, outcome));
    }
    for (operation, id) in circular {
        let wanted = &operations[operation];
        match close_circle(call, wanted, &id, &created).await {
            Ok(closed) => {
                if let (Some(result), Some(tag)) = (&mut results[operation], closed.entity_tag) {
                    result["version"] = tag.into();
                }
            }
            Err(error) => results[operation] = Some(result(call, wanted, Err(error))),
        }
    }
    let done: Value = results.into_iter().flatten().collect();
    Ok(Answer::ok(&json!({ "schemas": [RESPONSE_SCHEMA], "Operations": done })))
}

fn read(body: Value) -> Result<(Vec<Operation>, Option<u64>)> {
    let syntax = |detail: &str| Error::of(ErrorKind::InvalidSyntax, detail);
    let Value::Object(mut body) = body else { return Err(syntax("the body of a bulk request is an object")) };
    if let Some(Value::Array(urns)) = field(&body, "schemas")
        && !urns.iter().filter_map(Value::as_str).any(|urn| is(urn, BULK_SCHEMA))
    {
        return Err(syntax(&format!("`schemas` of a bulk request holds `{BULK_SCHEMA}`")));
    }
    let fail_on_errors = match field(&body, "failOnErrors") {
        None | Some(Value::Null) => None,
        Some(limit) => Some(limit.as_u64().ok_or_else(|| syntax("`failOnErrors` is a whole number"))?),
    };
    let Some(Value::Array(operations)) = take(&mut body, "Operations") else {
        return Err(syntax("a bulk request has a list `Operations`"));
    };
    if operations.len() > MAX_BULK_OPERATIONS {
        let detail = format!("a bulk request has at most {MAX_BULK_OPERATIONS} operations; send several");
        return Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let read = operations.into_iter().map(|operation| match operation {
        Value::Object(operation) => Operation::read(operation),
        _ => Err(syntax("each of `Operations` is an object")),
    });
    // One that asks for 0 errors at most means that the first ends it.
    Ok((read.collect::<Result<_>>()?, fail_on_errors.map(|limit| limit.max(1))))
}

impl Drop for Operation {
    fn drop(&mut self) {
        wipe(&mut self.data);
    }
}

impl Operation {
    fn read(mut operation: Map<String, Value>) -> Result<Self> {
        let text = |name: &str| field(&operation, name).and_then(Value::as_str).map(str::to_owned);
        let method = text("method").unwrap_or_default().to_ascii_uppercase();
        let method = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE]
            .into_iter()
            .find(|known| known.as_str() == method)
            .ok_or_else(|| Error::of(ErrorKind::InvalidSyntax, "`method` is POST, PUT, PATCH or DELETE"))?;
        let target = Target::of(&text("path").unwrap_or_default(), method == Method::POST);
        let (bulk_id, version) = (text("bulkId"), text("version"));
        let data = take(&mut operation, "data").unwrap_or_default();
        Ok(Self { method, bulk_id, version, target, data })
    }
}

impl Target {
    fn of(path: &str, creates: bool) -> Result<Self> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let endpoint = segments.next().unwrap_or_default();
        let kind = Kind::ALL.into_iter().find(|kind| kind.endpoint() == endpoint);
        match (kind, segments.next(), segments.next()) {
            (Some(kind), None, None) if creates => Ok(Self { kind, id: None }),
            (Some(kind), Some(id), None) if !creates => Ok(Self { kind, id: Some(id.to_owned()) }),
            _ => {
                let detail = "`path` is /Users or /Groups to create something, else with the id behind it";
                Err(Error::of(ErrorKind::InvalidPath, detail))
            }
        }
    }
}

/// Which operation goes when: in their order, but what one refers to goes before it.
fn steps(operations: &[Operation]) -> Vec<Step> {
    let creators: HashMap<&str, usize> = operations
        .iter()
        .enumerate()
        .filter(|(_, operation)| operation.method == Method::POST)
        .filter_map(|(index, operation)| Some((operation.bulk_id.as_deref()?, index)))
        .collect();
    let mut order = Ordering { operations, creators, state: vec![Visit::Open; operations.len()], steps: Vec::new() };
    (0..operations.len()).for_each(|operation| order.visit(operation));
    order.steps
}

struct Ordering<'o> {
    operations: &'o [Operation],
    creators: HashMap<&'o str, usize>,
    state: Vec<Visit>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    Open,
    Under,
    Done,
}

impl Ordering<'_> {
    /// As deep as there are operations.
    fn visit(&mut self, operation: usize) {
        if self.state[operation] != Visit::Open {
            return;
        }
        self.state[operation] = Visit::Under;
        let mut names = Vec::new();
        let wanted = &self.operations[operation];
        references(&wanted.data, &mut names);
        let id = wanted.target.as_ref().ok().and_then(|target| target.id.as_deref());
        names.extend(id.and_then(|id| id.strip_prefix(REFERENCE)));
        let mut is_circular = false;
        for name in names {
            let Some(creator) = self.creators.get(name).copied() else { continue };
            self.visit(creator);
            is_circular |= self.state[creator] == Visit::Under;
        }
        self.state[operation] = Visit::Done;
        self.steps.push(Step { operation, is_circular });
    }
}

/// The names that a body refers to.
fn references<'d>(data: &'d Value, names: &mut Vec<&'d str>) {
    match data {
        Value::String(text) => names.extend(text.strip_prefix(REFERENCE)),
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        Value::Object(object) => object.values().for_each(|value| references(value, names)),
        _ => {}
    }
}

/// Runs one operation; answers with the id of the resource.
async fn run(call: &Call<'_>, operation: &Operation, created: &Created, is_circular: bool) -> Result<(Answer, String)> {
    let target = operation.target.clone()?;
    if let Some(name) = operation.bulk_id.as_ref().filter(|name| created.contains_key(*name))
        && operation.method == Method::POST
    {
        let detail = format!("`bulkId` `{name}` names another operation already; give each its own");
        return Err(Error::of(ErrorKind::InvalidValue, detail));
    }
    let data = resolved(&operation.data, created, is_circular)?.unwrap_or_default();
    let Some(id) = target.id else {
        let answer = call.create(target.kind, data, &Parameters::default()).await?;
        let id = answer.location.as_deref().and_then(|location| location.rsplit('/').next()).unwrap_or_default();
        let id = id.to_owned();
        return Ok((answer, id));
    };
    let id = match id.strip_prefix(REFERENCE) {
        Some(name) => created.get(name).cloned().ok_or_else(|| not_created(name))?,
        None => id,
    };
    let preconditions = Preconditions::if_version(operation.version.as_deref());
    let parameters = Parameters::default();
    let answer = match operation.method {
        Method::PUT => call.replace(target.kind, &id, data, &preconditions, &parameters).await?,
        Method::PATCH => call.patch(target.kind, &id, data, &preconditions, &parameters).await?,
        _ => call.delete(target.kind, &id, &preconditions).await?,
    };
    Ok((answer, id))
}

/// Puts in what could not be referred to when the resource was created.
async fn close_circle(call: &Call<'_>, operation: &Operation, id: &str, created: &Created) -> Result<Answer> {
    let kind = operation.target.clone()?.kind;
    let data = resolved(&operation.data, created, false)?.unwrap_or_default();
    call.replace(kind, id, data, &Preconditions::default(), &Parameters::default()).await
}

/// The body with ids for references. Where references may be `open`, what holds an unknown one is left out; None if
/// that is everything.
fn resolved(data: &Value, created: &Created, open: bool) -> Result<Option<Value>> {
    Ok(match data {
        Value::String(text) => match text.strip_prefix(REFERENCE) {
            None => Some(data.clone()),
            Some(name) => match created.get(name) {
                Some(id) => Some(id.as_str().into()),
                None if open => None,
                None => return Err(not_created(name)),
            },
        },
        Value::Array(items) => {
            let kept = items.iter().map(|item| resolved(item, created, open)).collect::<Result<Vec<_>>>()?;
            Some(kept.into_iter().flatten().collect())
        }
        Value::Object(object) => {
            let mut kept = Map::with_capacity(object.len());
            for (name, value) in object {
                match resolved(value, created, open)? {
                    Some(value) => drop(kept.insert(name.clone(), value)),
                    // Without its value the whole element says nothing.
                    None if value.is_string() => return Ok(None),
                    None => {}
                }
            }
            Some(kept.into())
        }
        _ => Some(data.clone()),
    })
}

fn not_created(name: &str) -> Error {
    let detail = format!("no operation before this one created `{REFERENCE}{name}`");
    Error::of(ErrorKind::InvalidValue, detail)
}

fn result(call: &Call<'_>, operation: &Operation, outcome: Result<(Answer, String)>) -> Value {
    let mut result = json!({ "method": operation.method.as_str() });
    if let Some(name) = &operation.bulk_id {
        result["bulkId"] = name.as_str().into();
    }
    let of_path = operation.target.as_ref().ok().and_then(|target| Some((target.kind, target.id.clone()?)));
    match outcome {
        Ok((answer, id)) => {
            let kind = operation.target.as_ref().map_or(Kind::User, |target| target.kind);
            result["location"] = format!("{}/{}/{id}", call.directory.base_url, kind.endpoint()).into();
            if let Some(tag) = answer.entity_tag {
                result["version"] = tag.into();
            }
            result["status"] = answer.status.as_str().into();
        }
        Err(error) => {
            if let Some((kind, id)) = of_path {
                result["location"] = format!("{}/{}/{id}", call.directory.base_url, kind.endpoint()).into();
            }
            result["status"] = error.status().as_str().into();
            result["response"] = error.body();
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(list: &Value) -> Vec<Operation> {
        read(json!({ "Operations": list })).unwrap().0
    }

    #[test]
    fn what_is_referred_to_goes_first() {
        let create = |name: &str, member: &str| {
            let data = json!({ "members": [{ "value": member }] });
            json!({ "method": "post", "path": "/Groups", "bulkId": name, "data": data })
        };
        let check = |list: Value, expected: &[(usize, bool)]| {
            let steps: Vec<_> =
                steps(&operations(&list)).iter().map(|step| (step.operation, step.is_circular)).collect();
            assert_eq!(steps, expected);
        };
        check(json!([create("a", "x"), create("b", "bulkId:a")]), &[(0, false), (1, false)]);
        check(json!([create("a", "bulkId:b"), create("b", "x")]), &[(1, false), (0, false)]);
        check(json!([create("a", "bulkId:b"), create("b", "bulkId:a")]), &[(1, true), (0, false)]);
        check(json!([create("a", "bulkId:a")]), &[(0, true)]);
        check(json!([create("a", "bulkId:none")]), &[(0, false)]);
        let delete = json!({ "method": "DELETE", "path": "/Groups/bulkId:a" });
        check(json!([delete, create("a", "x")]), &[(1, false), (0, false)]);
        let chain: Vec<Value> =
            (0..MAX_BULK_OPERATIONS).map(|n| create(&n.to_string(), &format!("bulkId:{}", n + 1))).collect();
        assert_eq!(steps(&operations(&chain.into())).first().unwrap().operation, MAX_BULK_OPERATIONS - 1);
    }

    #[test]
    fn open_references_are_left_out() {
        let created = Created::from([("a".to_owned(), "1".to_owned())]);
        let data = json!({
            "displayName": "g", "members": [{ "value": "bulkId:a" }, { "value": "bulkId:b", "type": "User" }],
            "manager": { "value": "bulkId:b" }
        });
        assert_eq!(
            resolved(&data, &created, true).unwrap().unwrap(),
            json!({ "displayName": "g", "members": [{ "value": "1" }] })
        );
        assert!(resolved(&data, &created, false).unwrap_err().detail().contains("`bulkId:b`"));
    }

    #[test]
    fn wrong_requests_are_refused() {
        let many = vec![json!({ "method": "DELETE", "path": "/Users/1" }); MAX_BULK_OPERATIONS + 1];
        let cases = [
            (json!([]), 400),
            (json!({ "schemas": ["x"], "Operations": [] }), 400),
            (json!({}), 400),
            (json!({ "failOnErrors": "x", "Operations": [] }), 400),
            (json!({ "Operations": [1] }), 400),
            (json!({ "Operations": [{ "method": "GET", "path": "/Users" }] }), 400),
            (json!({ "Operations": many }), 413),
        ];
        for (body, status) in cases {
            assert_eq!(read(body).unwrap_err().status().as_u16(), status);
        }
        for (method, path) in
            [("POST", "/Users/1"), ("PUT", "/Users"), ("PUT", "/Me"), ("PUT", "/Users/1/2"), ("DELETE", "")]
        {
            let operation = json!({ "method": method, "path": path });
            assert!(operations(&json!([operation]))[0].target.is_err(), "{method} {path}");
        }
    }
}
