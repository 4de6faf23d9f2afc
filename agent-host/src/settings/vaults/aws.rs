//! AWS Secrets Manager: secrets that hold JSON objects of settings, or one setting each.
//!
//! Section `AwsSecretsManager`; in builds with the feature `aws` alone, because Amazon's library weighs as much as the
//! rest. Credentials are those of the section, else what Amazon's library finds (variables, profile, role).

use connector_api::Result;

use super::{Found, Sources, section::Section};
use crate::settings::{Warning, values::Values};

/// Reads the secrets that the section names; nothing where there is no such section.
pub(super) async fn read(sources: Sources<'_>, values: &Values, warnings: &mut Vec<Warning>) -> Result<Option<Found>> {
    let section = Section::new("AwsSecretsManager", sources, values);
    let Some(key) = ["Secrets", "Connections", "Keys"].into_iter().find(|key| section.has(key)) else {
        return Ok(None);
    };
    fetch(&section, key, warnings).await.map(Some)
}

#[cfg(not(feature = "aws"))]
async fn fetch(section: &Section<'_>, key: &str, _: &mut Vec<Warning>) -> Result<Found> {
    let hint = "build it with `--features aws`, or keep the settings elsewhere";
    Err(section.error(key, "asks for AWS Secrets Manager, which this build does not have").with_hint(hint))
}

#[cfg(feature = "aws")]
use with_aws::fetch;

#[cfg(feature = "aws")]
mod with_aws {
    use std::error::Error as _;

    use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
    use aws_sdk_secretsmanager::{
        Client,
        config::Credentials,
        error::{ProvideErrorMetadata, SdkError},
        operation::get_secret_value::GetSecretValueError,
    };
    use connector_api::{Error, ErrorKind, Result};
    use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

    use super::{Found, Section, Warning};
    use crate::settings::vaults::{client::nonsense, section::problem};

    const MAX_ATTEMPTS: u32 = 3;

    /// What a secret holds.
    enum Holds {
        /// An object of settings; their keys belong to this section, or are full where it is empty.
        Settings(String),
        /// The value of this setting.
        Value(String),
    }

    pub(super) async fn fetch(section: &Section<'_>, _: &str, warnings: &mut Vec<Warning>) -> Result<Found> {
        let client = client(section).await?;
        let region = client.config().region().map(ToString::to_string).ok_or_else(|| {
            section.error("Region", "is missing").with_hint("set it, such as `eu-central-1`, or `AWS_REGION`")
        })?;
        let vault = format!("AWS Secrets Manager `{region}`");
        let mut found = Found { refresh_after: section.refresh()?, ..Found::default() };
        for (name, holds) in wanted(section) {
            let place = format!("{vault}, `{name}`");
            let taken = match (get(&client, &vault, name).await, holds) {
                (Err(error), _) => Err(error),
                (Ok(secret), Holds::Value(key)) => {
                    found.take(&place, &key, secret);
                    Ok(())
                }
                (Ok(secret), Holds::Settings(section)) => {
                    let taken = found.take_object(&place, &section, secret.expose_secret(), warnings);
                    taken.map_err(|_| {
                        let hint = "write `{ \"<key>\": \"<value>\" }` into it, or name it below `Keys`";
                        problem(ErrorKind::Settings, &vault, format_args!("`{name}` holds no JSON object"), hint)
                    })
                }
            };
            found.problems.extend(taken.err());
            if found.is_cut_short() {
                break;
            }
        }
        Ok(found)
    }

    fn wanted<'a>(section: &Section<'a>) -> Vec<(&'a str, Holds)> {
        let whole = section.list("Secrets").into_iter().map(|name| (name, Holds::Settings(String::new())));
        let of_connections =
            section.below("Connections").map(|(id, name)| (name, Holds::Settings(format!("Connections:{id}"))));
        let values = section.below("Keys").map(|(key, name)| (name, Holds::Value(key.to_owned())));
        whole.chain(of_connections).chain(values).collect()
    }

    async fn client(section: &Section<'_>) -> Result<Client> {
        let timeout = section.timeout()?;
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(TimeoutConfig::builder().operation_timeout(timeout).connect_timeout(timeout).build())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS));
        if let Some(region) = section.text("Region") {
            config = config.region(Region::new(region.to_owned()));
        }
        if section.has("Endpoint") {
            config = config.endpoint_url(section.address("Endpoint")?.as_str().trim_end_matches('/'));
        }
        match (section.text("AccessKeyId"), section.secret("SecretAccessKey")?) {
            (Some(id), Some(secret)) => {
                let session = section.secret("SessionToken")?.map(|token| token.expose_secret().trim().to_owned());
                config = config.credentials_provider(Credentials::new(
                    id,
                    secret.expose_secret().trim(),
                    session,
                    None,
                    "settings",
                ));
            }
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                let hint = "set both, or neither to let Amazon's library find credentials";
                let missing = if section.has("AccessKeyId") { "SecretAccessKey" } else { "AccessKeyId" };
                return Err(section.error(missing, "is missing").with_hint(hint));
            }
        }
        Ok(Client::new(&config.load().await))
    }

    async fn get(client: &Client, vault: &str, name: &str) -> Result<SecretString> {
        let answer = client.get_secret_value().secret_id(name).send().await;
        let mut answer = answer.map_err(|error| refusal(vault, name, &error))?;
        let text = answer.secret_string.take().map(Zeroizing::new);
        let text = text.ok_or_else(|| {
            let hint = "store it as text";
            problem(ErrorKind::Settings, vault, format_args!("`{name}` holds bytes where text belongs"), hint)
        })?;
        Ok(text.as_str().into())
    }

    /// What the library's error asks for. Only its kind and its code are shown.
    fn refusal(vault: &str, name: &str, error: &SdkError<GetSecretValueError>) -> Error {
        let reading = format!("reading `{name}`");
        let refused = |kind, what: &str, hint: &str| problem(kind, vault, format_args!("{reading}: {what}"), hint);
        let unavailable = |why: &str| {
            let hint = "see whether it can be reached from here, and run again";
            refused(ErrorKind::Unavailable, &format!("the vault is unavailable: {why}"), hint)
        };
        match error {
            SdkError::ServiceError(answer) => {
                let code = answer.err().code().unwrap_or("no code");
                let status = answer.raw().status().as_u16();
                match code {
                    "ResourceNotFoundException" => {
                        let hint = "check its name, `Region` and the account";
                        refused(ErrorKind::Settings, "there is no such thing in the vault", hint)
                    }
                    _ if code.contains("Throttling") || status >= 500 => unavailable(&format!("it answers {status}")),
                    "InvalidRequestException" | "InvalidParameterException" | "ValidationException" => {
                        let hint = "check its name, and that it is not marked for deletion";
                        refused(ErrorKind::Settings, "the secret cannot be read", hint)
                    }
                    _ => {
                        let hint =
                            "check the access key, and allow secretsmanager:GetSecretValue and the key's kms:Decrypt";
                        refused(ErrorKind::Credentials, &format!("the vault refuses it ({status})"), hint)
                    }
                }
            }
            SdkError::TimeoutError(_) => unavailable("no answer in time"),
            SdkError::ResponseError(_) => nonsense(vault, &reading),
            _ if mentions_credentials(error) => {
                let hint = "set `AccessKeyId` and `SecretAccessKey`, or give this machine a role";
                refused(ErrorKind::Credentials, "there are no credentials", hint)
            }
            _ => unavailable("it cannot be reached"),
        }
    }

    fn mentions_credentials(error: &SdkError<GetSecretValueError>) -> bool {
        let mut cause = error.source();
        while let Some(inner) = cause {
            if inner.to_string().to_lowercase().contains("credential") {
                return true;
            }
            cause = inner.source();
        }
        false
    }
}

#[cfg(not(feature = "aws"))]
#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::json;

    #[tokio::test]
    async fn a_build_without_it_says_so() {
        let text = r#"{ "AwsSecretsManager": { "Secrets": "agent" } }"#;
        let values = json::parse("a.json", text, &mut Vec::new()).unwrap();
        let sources = Sources { directory: Path::new("."), environment: &[], accounts: &Values::default() };
        let error = read(sources, &values, &mut Vec::new()).await.map(|_| ()).unwrap_err();
        let expected =
            "a.json:1:37: `AwsSecretsManager:Secrets` asks for AWS Secrets Manager, which this build does not have";
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().is_some_and(|hint| hint.contains("--features aws")));
    }
}
