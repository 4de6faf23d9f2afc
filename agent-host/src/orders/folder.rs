//! Where order files lie, and where they go: `Completed` when all of their orders are reported, `Rejected` with the
//! reason beside them when they cannot be read. Nothing is ever deleted, and nothing that is there is overwritten.
//!
//! Files in folders within count too, but for those that hold what was handled. They are taken in the order of their
//! names, which the engine begins with the time.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::disk;

/// Where handled files go.
pub(crate) const COMPLETED: &str = "Completed";
/// Where unreadable files go.
pub(crate) const REJECTED: &str = "Rejected";
/// How the names of files end that came by HTTP.
pub(crate) const BY_HTTP: &str = "_http.json";
/// Folders whose files are no orders to carry out: ours, and two of the vendor's.
const PASSED_OVER: [&str; 4] = [COMPLETED, REJECTED, "Downloaded", "PasswordResetSettings"];
/// A file to which nothing has come for so long is nobody's any more.
const AT_REST_MS: i64 = 60_000;
/// Folders within folders, as deep as files are looked for.
const MAX_DEPTH: usize = 8;

/// The order files of a folder; none where there is no folder.
pub(crate) fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && depth == 0 => return Ok(files),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            // Links to folders are not followed, as they may lead round in a circle; pipes and such are no files.
            if entry.file_type()?.is_dir() {
                if depth < MAX_DEPTH && !PASSED_OVER.iter().any(|passed| passed.eq_ignore_ascii_case(&name)) {
                    folders.push((path, depth + 1));
                }
            } else if path.is_file() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
            {
                files.push(path);
            }
        }
    }
    files.sort_by(|one, other| (one.file_name(), one).cmp(&(other.file_name(), other)));
    Ok(files)
}

/// Whether nobody is writing the file any more: its JSON is complete, or nothing has come for a minute, after which what
/// is wrong with it will not mend.
pub(crate) fn is_ready(file: &Path, now_ms: i64) -> io::Result<bool> {
    let modified = fs::metadata(file)?.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if now_ms - i64::try_from(modified.as_millis()).unwrap_or(i64::MAX) > AT_REST_MS {
        return Ok(true);
    }
    is_complete(&mut BufReader::with_capacity(1 << 16, fs::File::open(file)?))
}

/// Whether every bracket of the JSON is closed again, and there was one.
fn is_complete(file: &mut impl BufRead) -> io::Result<bool> {
    let (mut depth, mut seen, mut in_text, mut escaped) = (0_u64, false, false, false);
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            return Ok(seen && depth == 0 && !in_text);
        }
        for byte in piece {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                b'{' | b'[' if !in_text => (depth, seen) = (depth + 1, true),
                b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        let length = piece.len();
        file.consume(length);
    }
}

/// Moves a file of `root` into its folder of this name, below which it keeps its place.
pub(crate) fn put_away(root: &Path, file: &Path, folder: &str) -> io::Result<PathBuf> {
    let target = free_place(root, file, folder)?;
    disk::put_in_place(file, &target)?;
    Ok(target)
}

/// Where a file of `root` would be moved in its folder of this name.
pub(crate) fn free_place(root: &Path, file: &Path, folder: &str) -> io::Result<PathBuf> {
    let below = file.strip_prefix(root).unwrap_or(file);
    let target = root.join(folder).join(below);
    let home = target.parent().unwrap_or(root);
    fs::create_dir_all(home)?;
    let stem = target.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let free = |number: u32| match number {
        1 => target.clone(),
        number => home.join(format!("{stem}-{number}.json")),
    };
    Ok((1..).map(free).find(|path| path.symlink_metadata().is_err()).expect("some number is free"))
}

/// Moves an unreadable file away, with the reason beside it.
pub(crate) fn reject(root: &Path, file: &Path, reason: &str) -> io::Result<PathBuf> {
    let target = put_away(root, file, REJECTED)?;
    let mut beside = target.clone().into_os_string();
    beside.push(".error.txt");
    disk::write_synced(Path::new(&beside), &format!("{reason}\n"))?;
    Ok(target)
}

/// Keeps what comes from `input` as a file of the folder, whole and for its owner's eyes alone, so that a run that is
/// cut off is followed by one that finds it.
pub(crate) fn keep(folder: &Path, name: &str, input: &mut dyn io::Read) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let part = folder.join(format!(".{name}.part"));
    let path = folder.join(name);
    let kept = disk::create_private(&part).and_then(|mut file| {
        io::copy(input, &mut file)?;
        file.sync_all()?;
        disk::put_in_place(&part, &path)
    });
    if kept.is_err() {
        // Half of the orders, passwords perhaps among them, serve nobody.
        let _ = fs::remove_file(&part);
    }
    kept.map(|()| path)
}

/// The file that was kept, or an older one whose name ends so and that holds the same: then the new one goes, as the
/// orders of the other were given once more because they are not yet done.
pub(crate) fn instead_of(folder: &Path, kept: PathBuf, suffix: &str) -> io::Result<PathBuf> {
    let size = fs::metadata(&kept)?.len();
    for other in files_in(folder)? {
        let may_be = other != kept && other.parent() == Some(folder) && other.to_string_lossy().ends_with(suffix);
        if may_be && fs::metadata(&other)?.len() == size && is_same(&kept, &other)? {
            fs::remove_file(&kept)?;
            return Ok(other);
        }
    }
    Ok(kept)
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let open = |path| fs::File::open(path).map(BufReader::new);
    let (mut one, mut other) = (open(one)?, open(other)?);
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let common = left.len().min(right.len());
        if left[..common] != right[..common] || common == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(common);
        other.consume(common);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_by_name_and_handled_ones_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["b/1.json", "2.JSON", "a/3.json", "Completed/0.json", "rejected/0.json", ".x.json", "4.txt"] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "[]").unwrap();
        }
        let found: Vec<_> =
            files_in(root).unwrap().iter().map(|it| it.strip_prefix(root).unwrap().to_owned()).collect();
        assert_eq!(found, ["b/1.json", "2.JSON", "a/3.json"].map(PathBuf::from));
        assert!(files_in(&root.join("missing")).unwrap().is_empty());
    }

    #[test]
    fn what_is_given_once_more_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let give = |name: &str, text: &str| {
            let kept = keep(folder.path(), name, &mut text.as_bytes()).unwrap();
            instead_of(folder.path(), kept, "_stdin.json").unwrap().file_name().unwrap().to_owned()
        };
        let given = [("1_stdin.json", "[1]"), ("2_stdin.json", "[2]"), ("3_stdin.json", "[1]"), ("4_stdin.json", "[]")];
        assert_eq!(
            given.map(|(name, text)| give(name, text)),
            given.map(|(name, _)| if name == "3_stdin.json" { "1_stdin.json" } else { name })
        );
        assert_eq!(files_in(folder.path()).unwrap().len(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_round_and_pipes_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("a.json"), "[]").unwrap();
        std::os::unix::fs::symlink(root, root.join("round")).unwrap();
        std::os::unix::fs::symlink(root.join("nothing"), root.join("b.json")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(root.join("c.json")).status().unwrap().success());
        assert_eq!(files_in(root).unwrap(), [root.join("a.json")]);
    }

    #[test]
    fn what_is_put_away_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for number in 1..=2 {
            let path = keep(root, "a.json", &mut format!("{number}").as_bytes()).unwrap();
            reject(root, &path, "it is wrong").unwrap();
        }
        for (name, text) in [("a.json", "1"), ("a-2.json", "2"), ("a.json.error.txt", "it is wrong\n")] {
            assert_eq!(fs::read_to_string(root.join(REJECTED).join(name)).unwrap(), text);
        }
        assert!(files_in(root).unwrap().is_empty());
    }
}
