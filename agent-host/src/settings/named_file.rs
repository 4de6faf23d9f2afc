//! A file that a setting names: relative to the agent directory, with the separators of whatever system, bounded.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use connector_api::{Error, Result};
use secrecy::zeroize::Zeroizing;

use super::{unusable::Unusable, values::Values};

/// Far above what certificates and keys need.
const MAX_BYTES: u64 = 1024 * 1024;

/// The contents of the file that the setting `key` names; none where it names none.
pub(super) fn read(directory: &Path, values: &Values, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(name) = values.text(key) else { return Ok(None) };
    contents(&at(directory, name)).map(Some).map_err(|problem| unusable(values, key, problem))
}

/// The error about the file that the setting `key` names.
pub(super) fn unusable(values: &Values, key: &str, problem: Unusable) -> Error {
    values.error(key, format_args!("names a file that {}", problem.what)).with_hint(problem.hint)
}

/// The contents of a file that is not too large.
pub(super) fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    // Asked before opening, because opening a named pipe would wait for a writer.
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Err(Unusable::new("is not there", "name it relative to the agent directory, or make it"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|_| Unusable::new("cannot be read", "let the agent's account read it"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Unusable::new("is larger than 1 MiB", "name the right file"));
    }
    Ok(bytes)
}

/// Whether every account of this machine may read the file; not known but on Unix.
pub(super) fn is_open_to_all(path: &Path) -> bool {
    #[cfg(unix)]
    let open = fs::metadata(path)
        .is_ok_and(|metadata| std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o004 != 0);
    #[cfg(not(unix))]
    let open = path.as_os_str().is_empty();
    open
}

/// Where the file of this name is.
pub(super) fn at(directory: &Path, name: &str) -> PathBuf {
    directory.join(if cfg!(windows) { name.to_owned() } else { name.replace('\\', "/") })
}
