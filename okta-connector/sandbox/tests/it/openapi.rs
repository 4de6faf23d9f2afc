//! Okta's published OpenAPI description, made into JSON Schemas which answers are validated against.
//!
//! OpenAPI 3.0 is JSON Schema draft 4 but for `nullable`, which becomes an alternative, and `discriminator`, which is
//! left out: its `oneOf` becomes an `anyOf`, since the published alternatives overlap.

use std::collections::BTreeMap;
use std::path::Path;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

pub(crate) struct Description {
    paths: Map<String, Value>,
    components: Value,
    /// One for each operation and status met so far; none where the description has no JSON for it.
    validators: BTreeMap<String, Option<Validator>>,
}

impl Description {
    pub(crate) fn read(shared: &Path) -> Self {
        let text = std::fs::read_to_string(shared.join("openapi.yaml")).unwrap();
        let mut description: Value = serde_yaml_ng::from_str(&text).unwrap();
        let components = to_json_schema(description["components"].take());
        let Value::Object(paths) = to_json_schema(description["paths"].take()) else { panic!("no paths") };
        Self { paths, components, validators: BTreeMap::new() }
    }

    /// The described operation that a request means, such as `GET /api/v1/groups/{groupId}`.
    pub(crate) fn operation(&self, method: &str, target: &str) -> Option<String> {
        let path = target.split('?').next().unwrap_or_default().trim_end_matches('/');
        let fits = |template: &&String| {
            let parts = template.split('/').zip(path.split('/'));
            template.split('/').count() == path.split('/').count()
                && parts.into_iter().all(|(template, segment)| template.starts_with('{') || template == segment)
        };
        // Among those that fit, the one with the fewest parameters is meant.
        let template = self.paths.keys().filter(fits).min_by_key(|template| template.matches('{').count())?;
        self.paths[template].get(method.to_lowercase())?;
        Some(format!("{method} {template}"))
    }

    /// Where an answer departs from the description, as path and broken keyword; none where nothing is described.
    pub(crate) fn departures(&mut self, operation: &str, status: u16, body: &Value) -> Option<Vec<String>> {
        let key = format!("{operation} {status}");
        if !self.validators.contains_key(&key) {
            let validator = self.validator(operation, status);
            self.validators.insert(key.clone(), validator);
        }
        let validator = self.validators[&key].as_ref()?;
        let mut departures: Vec<String> = validator.iter_errors(body).flat_map(|error| innermost(&error)).collect();
        departures.sort();
        departures.dedup();
        Some(departures)
    }

    fn validator(&self, operation: &str, status: u16) -> Option<Validator> {
        let (method, template) = operation.split_once(' ')?;
        let response = &self.paths[template][method.to_lowercase()]["responses"][status.to_string()];
        let response = match response["$ref"].as_str() {
            Some(reference) => self.components.pointer(reference.strip_prefix("#/components")?)?,
            None => response,
        };
        let schema = response.pointer("/content/application~1json/schema")?;
        let root = json!({"allOf": [schema], "components": self.components});
        let built = jsonschema::draft4::options().should_validate_formats(false).build(&root);
        Some(built.unwrap_or_else(|e| panic!("{operation} {status}: {e}")))
    }
}

/// Rewrites OpenAPI's own keywords, at every depth.
fn to_json_schema(value: Value) -> Value {
    match value {
        Value::Array(elements) => elements.into_iter().map(to_json_schema).collect(),
        Value::Object(members) => {
            let mut schema: Map<String, Value> = members.into_iter().map(|(k, v)| (k, to_json_schema(v))).collect();
            if schema.get("discriminator").is_some_and(|discriminator| discriminator.get("propertyName").is_some()) {
                schema.remove("discriminator");
                if let Some(alternatives) = schema.remove("oneOf") {
                    schema.insert("anyOf".to_owned(), alternatives);
                }
            }
            if schema.get("nullable") == Some(&Value::Bool(true)) {
                schema.remove("nullable");
                return json!({"anyOf": [schema, {"type": "null"}]});
            }
            Value::Object(schema)
        }
        other => other,
    }
}

/// The errors of the alternative that came nearest, for a value which fits none of several.
fn innermost(error: &ValidationError<'_>) -> Vec<String> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else {
        return vec![departure(error)];
    };
    let alternatives = context.iter().map(|errors| errors.iter().flat_map(innermost).collect::<Vec<_>>());
    alternatives.min_by_key(Vec::len).unwrap_or_else(|| vec![departure(error)])
}

fn departure(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().as_str().split('/').skip(1);
    let path: Vec<_> = path.map(|segment| if segment.parse::<usize>().is_ok() { "[]" } else { segment }).collect();
    let missing = match error.kind() {
        ValidationErrorKind::Required { property } => format!(" {property}"),
        _ => String::new(),
    };
    format!("{}{missing} {}", error.kind().keyword(), path.join("."))
}
