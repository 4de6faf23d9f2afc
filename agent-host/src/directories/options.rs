//! The switches of a directory: given when it is made, and over them what the settings say under `Directories:<name>`.

use std::collections::HashMap;

use connector_api::Result;
use scim_server::{Authentication, Directory, UnknownMember};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::settings::Settings;

/// The most resources an answer may hold.
pub(crate) const MAX_PAGE_SIZE: usize = 1_000;

/// Switches and limits, as far as they are said; what is not is on, and `page_size` 100.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DirectoryOptions {
    /// Whether users may be created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<bool>,
    /// Whether users may be changed otherwise than in `active`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<bool>,
    /// Whether users may be deactivated, reactivated and deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deactivate: Option<bool>,
    /// Whether there are groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<bool>,
    /// Whether clients may list what there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<bool>,
    /// Whether a member that the directory does not have is refused; it is kept where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject_unknown_member: Option<bool>,
    /// Whether no two groups may have one name; they may where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_name_unique: Option<bool>,
    /// Whether what is deleted leaves a trace; it does not where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_delete: Option<bool>,
    /// Whether a token may come bare, without `Bearer` before it, as Okta's mode "Header" sends it; it may not where nothing
    /// is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bare_token: Option<bool>,
    /// How many resources an answer holds where the client does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub page_size: Option<usize>,
}

impl DirectoryOptions {
    /// These, and where they say nothing the others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            create: self.create.or(others.create),
            update: self.update.or(others.update),
            deactivate: self.deactivate.or(others.deactivate),
            groups: self.groups.or(others.groups),
            import: self.import.or(others.import),
            reject_unknown_member: self.reject_unknown_member.or(others.reject_unknown_member),
            group_name_unique: self.group_name_unique.or(others.group_name_unique),
            soft_delete: self.soft_delete.or(others.soft_delete),
            bare_token: self.bare_token.or(others.bare_token),
            page_size: self.page_size.or(others.page_size),
        }
    }

    /// The directory as the protocol serves it, at this address and to clients that show who they are in these ways.
    pub fn serve_at(&self, base_url: &str, authentication: &'static [Authentication]) -> Directory {
        let mut directory = Directory::new(base_url);
        directory.authentication = authentication;
        directory.change_password = false;
        directory.create = self.create.unwrap_or(true);
        directory.update = self.update.unwrap_or(true);
        directory.deactivate = self.deactivate.unwrap_or(true);
        directory.groups = self.groups.unwrap_or(true);
        directory.import = self.import.unwrap_or(true);
        directory.group_name_unique = self.group_name_unique.unwrap_or(false);
        directory.soft_delete = self.soft_delete.unwrap_or(false);
        directory.page_size = self.page_size.unwrap_or(directory.page_size).clamp(1, MAX_PAGE_SIZE);
        if self.reject_unknown_member == Some(true) {
            directory.unknown_member = UnknownMember::Reject;
        }
        directory
    }
}

/// What the settings say of each directory, by its name in lower case.
///
/// # Errors
/// Of kind `Settings`.
pub(super) fn in_settings(settings: &Settings) -> Result<HashMap<String, DirectoryOptions>> {
    let named = settings.names_below("Directories").into_iter().map(|name| {
        let section = settings.section(&[&format!("Directories:{name}")]);
        let flag = |key: &str| section.text(key).map(|_| section.flag(key, true)).transpose();
        let choice = |key: &str, off: &str, on: &str| {
            section.text(key).map(|_| section.choice(key, false, &[(off, false), (on, true)])).transpose()
        };
        let page_size = section.text("PageSize").map(|_| section.number("PageSize", 100, 1..=MAX_PAGE_SIZE));
        let options = DirectoryOptions {
            create: flag("Create")?,
            update: flag("Update")?,
            deactivate: flag("Deactivate")?,
            groups: flag("Groups")?,
            import: flag("Import")?,
            reject_unknown_member: choice("UnknownMember", "keep", "reject")?,
            group_name_unique: flag("GroupNameUnique")?,
            soft_delete: choice("Delete", "hard", "soft")?,
            bare_token: flag("BareToken")?,
            page_size: page_size.transpose()?,
        };
        Ok((name.to_lowercase(), options))
    });
    named.collect()
}
