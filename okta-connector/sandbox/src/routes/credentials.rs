//! Passwords and recovery questions: given with a user, or changed by a call of their own.
//! Okta: a password that breaks the policy is 400 `E0000001` on create and update, 403 `E0000014` on a change;
//! an imported hash is taken as it is, but only while the user is staged.

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::org::Org;
use crate::profile::password_fault;
use crate::routes::{unknown, users};
use crate::user::{Question, Status, User};
use crate::wire::{Answer, Call, Outcome};

/// What a create or update request gives.
pub(crate) struct Given {
    pub password: Option<u64>,
    pub question: Option<Box<Question>>,
}

/// Reads `credentials` of a request; `staged` allows an imported hash.
pub(crate) fn given(org: &Org, request: &Map<String, Value>, login: &str, staged: bool) -> Result<Given, ApiError> {
    let credentials = request.get("credentials").unwrap_or(&Value::Null);
    let password = &credentials["password"];
    let hash = match password["value"].as_str() {
        Some(value) => {
            if let Some(fault) = password_fault(value, login) {
                return Err(ApiError::validation("password", format!("password: {fault}")));
            }
            Some(org.hash(value))
        }
        None if password.get("hash").is_some() || password.get("hook").is_some() => {
            if !staged {
                return Err(ApiError::validation("password", "password: A hash can be set only on a staged user"));
            }
            check_hash(password.get("hash"))?;
            Some(org.hash(&password.to_string()))
        }
        None => None,
    };
    Ok(Given { password: hash, question: question(org, &credentials["recovery_question"])? })
}

/// The provider a create request names.
pub(crate) fn provider(request: &Map<String, Value>) -> &'static str {
    let named = request.get("credentials").and_then(|credentials| credentials["provider"]["type"].as_str());
    crate::user::provider(named.unwrap_or_default())
}

pub(crate) fn write(call: &Call, org: &mut Org, id: &str, action: &str) -> Outcome {
    let row = users::row(call, org, id)?;
    let request = Value::from(call.object()?);
    let Some(user) = org.users.get(row) else { return Err(ApiError::not_found(id, "User")) };
    match action {
        "change_password" => {
            use Status::{Active, PasswordExpired, Recovery, Staged};
            if !matches!(user.status, Staged | Active | Recovery | PasswordExpired) {
                return Err(ApiError::coded("E0000038"));
            }
            check_password(org, user, &request["oldPassword"]["value"], "Old Password is not correct")?;
            let hash = new_password(org, user, &request["newPassword"]["value"])?;
            if call.flag("strict", false) && user.password == Some(hash) {
                return Err(ApiError::coded("E0000014").cause("Password has been used too recently"));
            }
            set_password(call, org, row, hash);
        }
        "change_recovery_question" => {
            check_password(org, user, &request["password"]["value"], "Password is not correct")?;
            let question = question(org, &request["recovery_question"])?;
            let question = question.ok_or_else(|| ApiError::invalid("recovery_question"))?;
            org.change_user(row, call.now, None, |user| user.question = Some(question));
        }
        "forgot_password_recovery_question" => {
            let answer = org.hash(request["recovery_question"]["answer"].as_str().unwrap_or_default());
            if user.question.as_ref().is_none_or(|question| question.answer != answer) {
                return Err(
                    ApiError::coded("E0000014").cause("The recovery question answer did not match our records.")
                );
            }
            let hash = new_password(org, user, &request["password"]["value"])?;
            set_password(call, org, row, hash);
        }
        "forgot_password" => {
            if user.status != Status::Active && user.status != Status::Recovery {
                return Err(ApiError::coded("E0000034"));
            }
            let url = format!("{}/signin/reset-password/dfp{}", org.base, org.ids.word(17));
            org.set_status(row, Status::Recovery, call.now);
            let mailed = call.flag("sendEmail", true);
            return Ok(if mailed { Answer::ok("{}") } else { Answer::value(200, &json!({"resetPasswordUrl": url})) });
        }
        _ => return Err(unknown(call)),
    }
    Ok(Answer::ok(org.users.get(row).map(User::credentials_text).unwrap_or_default()))
}

fn check_password(org: &Org, user: &User, given: &Value, cause: &str) -> Result<(), ApiError> {
    match user.password {
        Some(known) if org.hash(given.as_str().unwrap_or_default()) == known => Ok(()),
        _ => Err(ApiError::coded("E0000014").cause(cause)),
    }
}

fn new_password(org: &Org, user: &User, given: &Value) -> Result<u64, ApiError> {
    let value = given.as_str().unwrap_or_default();
    match password_fault(value, &user.attribute("login")) {
        Some(fault) => Err(ApiError::coded("E0000014").cause(fault)),
        None => Ok(org.hash(value)),
    }
}

fn set_password(call: &Call, org: &mut Org, row: u32, hash: u64) {
    let staged = org.users.get(row).is_some_and(|user| user.status == Status::Staged);
    if !staged {
        org.set_status(row, Status::Active, call.now);
    }
    org.change_user(row, call.now, None, |user| {
        user.password = Some(hash);
        user.password_changed = Some(call.now);
    });
    users::note(call, org, row, &["user.account.update_password"]);
}

fn question(org: &Org, given: &Value) -> Result<Option<Box<Question>>, ApiError> {
    let (Some(question), Some(answer)) = (given["question"].as_str(), given["answer"].as_str()) else {
        return Ok(None);
    };
    if answer.chars().count() < 4 {
        let cause = "The security question answer must be at least 4 characters in length";
        return Err(ApiError::validation("recovery_question", cause));
    }
    Ok(Some(Box::new(Question { question: question.to_owned(), answer: org.hash(answer) })))
}

fn check_hash(hash: Option<&Value>) -> Result<(), ApiError> {
    let Some(hash) = hash else { return Ok(()) };
    let length = |name: &str| hash[name].as_str().map_or(0, str::len);
    let good = match hash["algorithm"].as_str() {
        Some("BCRYPT") => {
            let factor = hash["workFactor"].as_u64().or_else(|| hash["workFactor"].as_str()?.parse().ok());
            factor.is_some_and(|factor| (1..=20).contains(&factor)) && length("salt") == 22 && length("value") == 31
        }
        Some("SHA-512" | "SHA-256" | "SHA-1" | "MD5") => length("value") > 0,
        Some("PBKDF2") => length("value") > 0 && hash["iterationCount"].as_u64().is_some_and(|count| count >= 4096),
        _ => false,
    };
    if good { Ok(()) } else { Err(ApiError::validation("password", "password: The hash is not valid")) }
}
