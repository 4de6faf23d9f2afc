//! Proxies by `HTTPS_PROXY` and `NO_PROXY`: the HTTP client obeys them by itself; here is what deserves a warning.
//!
//! .NET takes `host`, `host:port` and `http://[user:password@]host:port`, and ignores other forms without a word. Here
//! more of them work; whoever comes from there is told. No warning repeats a value, which may hold a password. Source:
//! the vendor's page on proxies.

use std::ffi::OsString;

use super::Warning;
use crate::redaction;

/// The variables that name a proxy for https addresses, in the order in which the client asks for them.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Warns of values that do not mean what they seem to, and keeps the proxy's password out of the log.
pub(super) fn check(environment: &[(OsString, OsString)], warnings: &mut Vec<Warning>) {
    let first = |names: &[&'static str]| {
        names.iter().find_map(|name| {
            let (_, value) = environment.iter().find(|(known, _)| known == name)?;
            Some((*name, value.to_str()?.trim())).filter(|(_, value)| !value.is_empty())
        })
    };
    if let Some((name, value)) = first(&PROXY) {
        if let Some((_, password)) = userinfo(value).and_then(|userinfo| userinfo.split_once(':')) {
            redaction::remember([&password.into()]);
        }
        warnings.extend(doubt(value).map(|doubt| Warning(format!("environment variable {name}: {doubt}"))));
    }
    if let Some((name, value)) = first(&EXCEPTIONS)
        && value.split(',').any(|host| host.contains('*'))
    {
        let doubt = if value == "*" {
            "`*` alone switches the proxy off for every host here; .NET takes it for a name"
        } else {
            "`*` is no wildcard; write `.example.org` for all hosts below a name"
        };
        warnings.push(Warning(format!("environment variable {name}: {doubt}")));
    }
}

/// What the reader should know about a proxy's address.
fn doubt(value: &str) -> Option<&'static str> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let authority = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let (host, after) =
        authority.split_once(['/', '?', '#']).map_or((authority, None), |(host, after)| (host, Some(after)));
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_host = !name.is_empty() && !name.contains(char::is_whitespace);
    if !is_host || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Some("this is no proxy's address, so requests go without a proxy; write http://host:port");
    }
    match scheme.to_ascii_lowercase().as_str() {
        "http" if after.is_some() => {
            Some("the text after the port does nothing here, and makes .NET ignore the proxy; end it with the port")
        }
        "http" => None,
        "https" => {
            Some("the proxy is reached by TLS; .NET ignores such a value, so programs beside this one may not use it")
        }
        _ => Some("this kind of proxy is not offered, so requests may fail; write http://host:port"),
    }
}

fn userinfo(value: &str) -> Option<&str> {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    rest.rsplit_once('@').map(|(userinfo, _)| userinfo)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(variables: &[(&str, &str)]) -> Vec<String> {
        let environment: Vec<_> = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut warnings = Vec::new();
        check(&environment, &mut warnings);
        warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn forms_that_dotnet_takes_are_silent_and_others_are_named() {
        for value in
            ["", "proxy", "proxy:8080", "http://proxy:8080", "http://user:pässword@proxy:8080", "http://[::1]:1"]
        {
            assert!(warnings(&[("HTTPS_PROXY", value)]).is_empty(), "{value}");
        }
        for (value, expected) in [
            ("https://u:00password@proxy:1", "reached by TLS"),
            ("http://proxy:8080/", "after the port"),
            ("http://proxy:port", "no proxy's address"),
            ("http://", "no proxy's address"),
            ("a b", "no proxy's address"),
            ("socks5://proxy:1", "not offered"),
        ] {
            let warnings = warnings(&[("https_proxy", value)]);
            assert!(warnings.len() == 1 && warnings[0].contains(expected), "{value}: {warnings:?}");
            assert!(!warnings[0].contains("00password"), "{warnings:?}");
        }
        assert_eq!(redaction::redact("by 00password"), "by ***");
    }

    #[test]
    fn wildcards_that_are_none_are_named() {
        assert!(warnings(&[("NO_PROXY", "localhost,.example.org")]).is_empty());
        for value in ["*.example.org", "localhost, *"] {
            let warnings = warnings(&[("NO_PROXY", value)]);
            assert!(warnings.len() == 1 && warnings[0].contains("no wildcard"), "{warnings:?}");
        }
        assert!(warnings(&[("NO_PROXY", "*")])[0].contains("for every host"));
    }
}
