//! Okta's error answers: `{errorCode, errorSummary, errorLink, errorId, errorCauses[]}`.
//! Only codes this sandbox gives by itself or by a scripted fault; texts as recorded where they were recorded.

use serde_json::json;

/// An error on its way to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub status: u16,
    pub code: String,
    summary: String,
    causes: Vec<String>,
    /// Headers of its own, as challenges have them.
    pub headers: Vec<(&'static str, String)>,
}

const CATALOGUE: [(&str, u16, &str); 37] = [
    ("E0000001", 400, "Api validation failed"),
    ("E0000003", 400, "The request body was not well-formed."),
    ("E0000006", 403, "You do not have permission to perform the requested action"),
    ("E0000007", 404, "Not found: Resource not found"),
    ("E0000008", 404, "The requested path was not found"),
    ("E0000009", 500, "Internal Server Error"),
    ("E0000010", 503, "Service is in read only mode"),
    ("E0000011", 401, "Invalid token provided"),
    ("E0000014", 403, "Update of credentials failed"),
    ("E0000015", 401, "You do not have permission to access the feature you are requesting"),
    ("E0000016", 403, "Activation failed because the user is already active"),
    ("E0000022", 405, "The endpoint does not support the provided HTTP method"),
    ("E0000023", 403, "Operation failed because user profile is mastered under another system"),
    ("E0000024", 400, "Bad request. This operation on app metadata is not yet supported."),
    ("E0000029", 400, "Invalid paging request."),
    ("E0000031", 400, "Invalid search criteria."),
    ("E0000032", 403, "Unlock is not allowed for this user."),
    ("E0000034", 403, "Forgot password not allowed on specified user."),
    ("E0000038", 403, "This operation is not allowed in the user's current status."),
    ("E0000040", 400, "Application label must not be the same as another existing application label."),
    ("E0000041", 400, "Credentials should not be set on this resource based on the scheme."),
    ("E0000047", 429, "API call exceeded rate limit due to too many requests."),
    ("E0000053", 400, "Invalid filter"),
    ("E0000056", 403, "Delete application forbidden."),
    ("E0000060", 501, "Unsupported operation."),
    ("E0000077", 403, "Cannot modify the attribute because it is read-only."),
    ("E0000078", 403, "Cannot modify the attribute because it is immutable."),
    ("E0000090", 409, "Duplicate role assignment exception."),
    ("E0000100", 503, "Search is currently unavailable; try again later"),
    ("E0000112", 409, "Unable to update the user's status while the user is being activated; try again later"),
    ("E0000117", 403, "Inactive user cannot be assigned"),
    ("E0000124", 400, "Password is required when nextLogin is changePassword"),
    ("E0000125", 400, "nextLogin requires activate=true"),
    (
        "E0000145",
        409,
        "Some users returned by the search cannot be parsed because the user schema has been changed to be inconsistent with their stale profile data",
    ),
    ("E0000231", 412, "The resource has changed since it was read"),
    ("E0000239", 423, "Policy priorities are being reconciled"),
    ("E0000256", 414, "The response header would be too large"),
];

impl ApiError {
    /// An error of the catalogue; an unknown code is an internal error that keeps its code.
    pub(crate) fn coded(code: &str) -> Self {
        let known = CATALOGUE.iter().find(|(known, ..)| *known == code);
        let (_, status, summary) = known.copied().unwrap_or(("", 500, "Internal Server Error"));
        Self { status, code: code.to_owned(), summary: summary.to_owned(), causes: Vec::new(), headers: Vec::new() }
    }

    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// 400 `E0000001`: the field is in the summary, the meaning in the cause.
    pub(crate) fn validation(field: &str, cause: impl Into<String>) -> Self {
        Self::invalid(field).cause(cause)
    }

    pub(crate) fn invalid(field: &str) -> Self {
        Self { summary: format!("Api validation failed: {field}"), ..Self::coded("E0000001") }
    }

    /// An error whose summary names the attribute it is about.
    pub(crate) fn about(code: &str, attribute: &str) -> Self {
        let error = Self::coded(code);
        Self { summary: error.summary.replacen("the attribute", &format!("the {attribute} attribute"), 1), ..error }
    }

    pub(crate) fn duplicate(field: &str) -> Self {
        Self::validation(
            field,
            format!("{field}: An object with this field already exists in the current organization"),
        )
    }

    pub(crate) fn not_found(id: &str, kind: &str) -> Self {
        Self { summary: format!("Not found: Resource not found: {id} ({kind})"), ..Self::coded("E0000007") }
    }

    pub(crate) fn bad_cursor() -> Self {
        Self::coded("E0000029").cause("Invalid cursor.")
    }

    /// In words, for a seed file that does not fit.
    pub(crate) fn text(&self) -> &str {
        self.causes.first().unwrap_or(&self.summary)
    }

    pub(crate) fn body(&self, id: &str) -> Vec<u8> {
        let causes: Vec<_> = self.causes.iter().map(|cause| json!({ "errorSummary": cause })).collect();
        json!({
            "errorCode": self.code,
            "errorSummary": self.summary,
            "errorLink": self.code,
            "errorId": format!("oae{id}"),
            "errorCauses": causes,
        })
        .to_string()
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_recorded_shape() {
        let body = ApiError::duplicate("login").body("X");
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"errorCode":"E0000001","errorSummary":"Api validation failed: login","errorLink":"E0000001","errorId":"oaeX","errorCauses":[{"errorSummary":"login: An object with this field already exists in the current organization"}]}"#
        );
    }
}
