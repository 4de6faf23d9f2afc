//! What goes wrong with files and folders: which one, and what the reader of the message can do about it.

use std::{error::Error, fmt, io, path::Path};

/// A file or folder that could not be read, written or put in place.
#[derive(Debug)]
pub struct FileError {
    message: String,
    hint: &'static str,
    source: Option<io::Error>,
}

impl FileError {
    /// `attempt` is what was tried, such as `write`.
    pub(super) fn new(attempt: &str, path: &Path, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "free space there, or choose a folder with more of it by `--output` or `TempFolderPath`"
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "let the agent's account write there, or choose another folder by `--output` or `TempFolderPath`"
            }
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::AlreadyExists => {
                "move what is in the way, or choose another folder by `--output` or `TempFolderPath`"
            }
            io::ErrorKind::NotFound => {
                "see that the folder can be made there, or choose another by `--output` or `TempFolderPath`"
            }
            _ => "see that the disk is there and sound, then export again",
        };
        Self { message: format!("cannot {attempt} `{}`", path.display()), hint, source: Some(source) }
    }

    /// Another export is at work where this one would write.
    pub(super) fn locked(connection: &str, output: &Path) -> Self {
        Self::busy(
            format!("another export of `{connection}` is writing into `{}`", output.display()),
            "wait until it is done, or give another folder with `--output`",
        )
    }

    /// Another process does what this one would do.
    pub(crate) fn busy(message: String, hint: &'static str) -> Self {
        Self { message, hint, source: None }
    }

    /// Whether it is another process that is at it, so that waiting helps.
    pub(crate) fn is_busy(&self) -> bool {
        self.source.is_none()
    }

    /// What to do about it, as a sentence without its full stop.
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_that_names_the_thing_and_says_what_to_do() {
        let cases = [
            (io::ErrorKind::StorageFull, "free space there"),
            (io::ErrorKind::PermissionDenied, "let the agent's account write there"),
            (io::ErrorKind::NotADirectory, "move what is in the way"),
            (io::ErrorKind::Other, "see that the disk is there"),
        ];
        for (kind, hint) in cases {
            let error = FileError::new("write", Path::new("out/a_users.csv"), kind.into());
            assert!(error.hint().starts_with(hint), "{kind}: {}", error.hint());
            let line = format!("{:#}", anyhow::Error::from(error));
            assert_eq!(line, format!("cannot write `out/a_users.csv`: {kind}"));
        }
    }
}
