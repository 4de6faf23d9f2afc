//! Writes a new agent directory from `config-samples/okta`, whose files are part of the program.
//!
//! Never touches a file that exists. Settings files are for their owner's eyes alone, because they will hold secrets.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use connector_api::{Error, ErrorKind};

/// Each file's path in the agent directory and its text.
const SAMPLES: [(&str, &str); 4] = [
    ("appsettings.json", include_str!("../../config-samples/okta/appsettings.json")),
    ("appsettings.agent.json", include_str!("../../config-samples/okta/appsettings.agent.json")),
    ("Conf/Okta/Okta Connector.xml", include_str!("../../config-samples/okta/Conf/Okta/Okta Connector.xml")),
    ("Orders/orders.json", include_str!("../../config-samples/okta/Orders/orders.json")),
];

const FOLDERS: [&str; 2] = ["Temp", "Work"];

/// Fills `directory`, which is created where it does not exist, and returns the files and folders written.
///
/// # Errors
/// Of kind `Settings` where a file exists already: then nothing is written. Otherwise the disk refuses.
pub fn init(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let existing = SAMPLES.iter().map(|(path, _)| path).filter(|path| directory.join(path).symlink_metadata().is_ok());
    let existing: Vec<String> = existing.map(|path| format!("`{path}`")).collect();
    if !existing.is_empty() {
        let what = format!("`{}` already holds {}; nothing was written", directory.display(), existing.join(", "));
        return Err(Error::new(ErrorKind::Settings, what)
            .with_hint("name a new directory, or move these files away")
            .into());
    }
    let mut written = Vec::new();
    for (path, text) in SAMPLES {
        let path = directory.join(path);
        write(&path, text).with_context(|| refused(&path))?;
        written.push(path);
    }
    for folder in FOLDERS {
        let path = directory.join(folder);
        fs::create_dir_all(&path).with_context(|| refused(&path))?;
        written.push(path);
    }
    Ok(written)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("a sample is in a folder"))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if path.extension().is_some_and(|extension| extension == "json") {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path)?.write_all(text.as_bytes())
}

fn refused(path: &Path) -> String {
    format!("cannot write `{}`, so name a directory in which you may write", path.display())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::settings::Settings;

    const NO_VARIABLES: [(&str, &str); 0] = [];

    fn samples() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-samples")
    }

    fn files_below(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
    }

    #[tokio::test]
    async fn a_new_directory_holds_every_sample_and_loads() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("not/yet/there");
        let written = init(&directory).unwrap();
        assert!(written.iter().all(|path| path.exists()), "{written:?}");

        let relative = |paths: Vec<PathBuf>, folder: &Path| -> BTreeSet<PathBuf> {
            paths.iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect()
        };
        let okta = samples().join("okta");
        assert_eq!(relative(files_below(&directory), &directory), relative(files_below(&okta), &okta));

        let (settings, warnings) = Settings::load(&directory, NO_VARIABLES).await.unwrap();
        let connection = settings.connection("OktaExportFulfillment").unwrap();
        assert_eq!(connection.text("ApiKey"), Some("<GeneratedUserToken>"));
        assert!(settings.temp_folder.is_dir() && settings.work_folder.is_dir() && warnings.is_empty());
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let existing = directory.path().join("appsettings.agent.json");
        fs::write(&existing, "mine").unwrap();
        let error = init(directory.path()).unwrap_err();
        assert!(error.to_string().contains("already holds `appsettings.agent.json`"), "{error}");
        assert_eq!(fs::read_to_string(&existing).unwrap(), "mine");
        assert_eq!(files_below(directory.path()), [existing]);
    }

    #[cfg(unix)]
    #[test]
    fn settings_files_are_private() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        init(directory.path()).unwrap();
        for name in ["appsettings.json", "appsettings.agent.json"] {
            let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn every_sample_loads() {
        for entry in fs::read_dir(samples()).unwrap() {
            let folder = entry.unwrap().path();
            // What is for other programs, such as Grafana's dashboard, is no agent directory.
            if !folder.join("appsettings.agent.json").is_file() {
                continue;
            }
            let (settings, warnings) = Settings::load(&folder, NO_VARIABLES).await.unwrap();
            // The key of the sample is everybody's, and the agent says so.
            let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
            let odd = warnings.iter().find(|warning| !warning.contains("`ProtectionKey:File` names a key"));
            assert!(!settings.connections.is_empty() && odd.is_none(), "{}: {warnings:?}", folder.display());
            for file in files_below(&folder).iter().filter(|file| file.extension().is_some_and(|it| it == "xml")) {
                let text = fs::read_to_string(file).unwrap();
                let mut reader = quick_xml::Reader::from_str(&text);
                while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
            }
        }
    }
}
