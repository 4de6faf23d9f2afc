//! The certificate with which the agent serves https: section `Web:Certificate`, a PFX file or PEM.

use connector_api::Result;
use secrecy::{ExposeSecret, SecretString};

use super::{Settings, certificate::KeyFile, named_file};

const SECTION: &str = "Web:Certificate";

impl Settings {
    /// The private key and the certificates; none where no file is named.
    ///
    /// # Errors
    /// Of kind `Settings`: a file that cannot be read or holds something else.
    pub(crate) fn server_certificate(&self) -> Result<Option<KeyFile>> {
        let key_of = |name: &str| format!("{SECTION}:{name}");
        let Some(file) = named_file::read(&self.directory, &self.values, &key_of("File"))? else { return Ok(None) };
        let key = named_file::read(&self.directory, &self.values, &key_of("KeyFile"))?;
        let section = self.section(&[SECTION]);
        let password = section.secret("Password").unwrap_or_else(|| SecretString::from(""));
        let without_mac = section.flag("AllowNoMac", false)?;
        let read = KeyFile::read(&file, key.as_ref().map(|key| key.as_slice()), password.expose_secret(), without_mac);
        read.map(Some).map_err(|problem| named_file::unusable(&self.values, &key_of("File"), problem))
    }
}
