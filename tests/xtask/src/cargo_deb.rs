//! cargo-deb, which makes the Debian package by `[package.metadata.deb]` of `agent-host/Cargo.toml`.
//!
//! It lies below the target folder, in the one version that is named here, and is built where that is not there yet:
//! without optimisation and symbols, which takes half the time, and without liblzma, since dpkg-dev brings `xz`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const VERSION: &str = "3.8.0";

/// Installs it below the target folder, unless it is there; where the program is. An error is a text for the reader.
pub(crate) fn install(target: &Path) -> Result<PathBuf, String> {
    let folder = target.join("tools").join("cargo-deb");
    let program = folder.join("bin").join("cargo-deb");
    if version_of(&program).as_deref() == Some(VERSION) {
        return Ok(program);
    }
    println!("Installing cargo-deb {VERSION} into {}", folder.display());
    // A folder of its own: what it is built of is not what the product is built of, and not needed again.
    let build = folder.join("build");
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "cargo-deb", "--quiet", "--locked", "--force", "--version", VERSION]);
    cargo.args(["--debug", "--no-default-features"]).env("CARGO_PROFILE_DEV_DEBUG", "0");
    cargo.arg("--root").arg(&folder).arg("--target-dir").arg(&build);
    let status = cargo.status().map_err(|error| format!("Cannot start {cargo:?}: {error}"))?;
    if !status.success() {
        return Err(format!("{cargo:?} failed ({status})"));
    }
    fs::remove_dir_all(&build).map_err(|error| format!("Cannot remove {}: {error}", build.display()))?;
    Ok(program)
}

/// What the program says its version is; nothing where it does not run.
fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    Some(said.trim().strip_prefix("cargo-deb ")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn it_is_not_built_again_where_it_is_there_in_the_right_version() {
        use std::os::unix::fs::PermissionsExt;

        let folder = std::env::temp_dir().join(format!("xtask-cargo-deb-{}", std::process::id()));
        let program = folder.join("tools/cargo-deb/bin/cargo-deb");
        assert_eq!(version_of(&program), None);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, format!("#!/bin/sh\necho cargo-deb {VERSION}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(install(&folder), Ok(program));
        fs::remove_dir_all(folder).unwrap();
    }
}
