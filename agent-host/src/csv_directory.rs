//! A CSV file as a connection to export from: a personnel file, say, that another system puts into a folder.
//!
//! The settings are those of the vendor's CSV package: `Path` is the file, or with `IsFileNameRegex` an expression for the
//! names in its folder, of which the newest file counts. The one table is called `records`; its columns are those of the
//! header. Everything is read strictly: what cannot be understood is an error with file and line, because half a file
//! reads as mass deletion. Nothing is written.

mod decoded;
mod lines;

use std::{
    collections::HashMap,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufReader},
    path::{Path, PathBuf},
    time::SystemTime,
};

use connector_api::{
    Capabilities, ColumnKind, ColumnSchema, ConnectionReport, ConnectionSettings, Connector, Error, ErrorKind,
    ExportStream, RecordBatch, Records, Result, Table, TableCapability, TableSchema, async_trait,
};
use encoding_rs::Encoding;
use fancy_regex::Regex;
use futures::stream::{self, StreamExt};

use decoded::Decoded;
use lines::{Cells, Lines};

/// The one table.
pub(crate) const RECORDS: &str = "records";
/// Records handed on at once.
const BATCH: usize = 500;
/// The most records of a file.
const MAX_RECORDS: u64 = 2_000_000;
/// The most files of a folder that are looked at.
const MAX_FILES: usize = 100_000;

const TABLES: [TableCapability; 1] = [TableCapability {
    name: RECORDS,
    fields: &[],
    default_attributes: &[],
    identity: &[],
    sides: &[],
    never_empty: true,
    exported: true,
}];

/// A connection to one CSV file.
pub struct CsvDirectory {
    path: PathBuf,
    /// What names must look like, where the newest of several files is read.
    name: Option<Regex>,
    encoding: &'static Encoding,
    separator: u8,
    skipped_lines: u32,
    trimmed: Vec<String>,
}

/// A file that is being read.
struct Course<'a> {
    table: &'a Table,
    lines: Lines<BufReader<Decoded<File>>>,
    file: PathBuf,
    /// For each column of the table its place in a line.
    places: Vec<usize>,
    width: usize,
    trimmed: &'a [String],
    cells: Cells,
    records: u64,
    /// By the key's hash: the line.
    keys: HashMap<u128, u64>,
}

impl CsvDirectory {
    /// Checks the settings; reads no file. A relative path is relative to `directory`; where there are `roots`, the file
    /// must be below one of them.
    ///
    /// # Errors
    /// Of kind `Settings`.
    pub fn open(settings: &ConnectionSettings, directory: &Path, roots: &[PathBuf]) -> Result<Self> {
        if settings.text("PathIncremental").is_some() {
            let error =
                Error::setting("PathIncremental", "`PathIncremental` names a file of changes, which is not read");
            return Err(error.with_hint("name the complete file with `Path`"));
        }
        let path = settings.text("Path").ok_or_else(|| {
            Error::setting("Path", "`Path` is missing").with_hint("name the CSV file, such as `../Sources/people.csv`")
        })?;
        let is_pattern = settings.flag("IsFileNameRegex", false)?;
        // A pattern may hold what would be a separator of folders: it is what comes after the last slash.
        let (folder, last) = if is_pattern { path.rsplit_once('/').unwrap_or((".", path)) } else { (path, "") };
        let path = directory.join(folder);
        if !roots.is_empty() && !roots.iter().any(|root| is_below(&path, &directory.join(root))) {
            let error = Error::setting("Path", format!("`{}` is below none of the `SourcesRootPaths`", path.display()));
            return Err(error.with_hint("add its folder there, or move the file"));
        }
        let name = is_pattern.then(|| Regex::new(&format!("^(?:{last})$"))).transpose();
        let name = name.map_err(|error| {
            Error::setting("Path", format!("`{last}` is no expression for names of files: {error}"))
                .with_hint("write `folder/people_[0-9]+\\.csv`, say; `IsFileNameRegex` asks for it")
        })?;
        let label = settings.text("Encoding").unwrap_or("UTF-8");
        let encoding = Encoding::for_label(label.as_bytes()).ok_or_else(|| {
            Error::setting("Encoding", format!("`Encoding` is `{label}`, which is not known"))
                .with_hint("write UTF-8, UTF-16LE, windows-1252 or iso-8859-1, say")
        })?;
        Ok(Self {
            path,
            name,
            encoding,
            separator: separator(settings)?,
            skipped_lines: settings.number("NumberOfLinesToSkip", 0, 0..=1000)?,
            trimmed: settings.list("ValuesToTrim").unwrap_or_default().into_iter().map(str::to_owned).collect(),
        })
    }

    /// The file to read: the newest whose name fits.
    fn file(&self) -> Result<PathBuf> {
        let Some(name) = &self.name else { return Ok(self.path.clone()) };
        let unreadable = |error| unreadable(&self.path, &error);
        let mut newest: Option<(SystemTime, PathBuf)> = None;
        for (count, entry) in fs::read_dir(&self.path).map_err(unreadable)?.enumerate() {
            if count >= MAX_FILES {
                let message = format!("there are more than {MAX_FILES} files in `{}`", self.path.display());
                return Err(Error::new(ErrorKind::Unavailable, message).with_hint("clear the folder"));
            }
            let entry = entry.map_err(unreadable)?;
            if !name.is_match(entry.file_name().to_string_lossy().as_ref()).unwrap_or(false) {
                continue;
            }
            let metadata = entry.metadata().map_err(unreadable)?;
            // Of two files of one moment the later name counts.
            let file = (metadata.modified().map_err(unreadable)?, entry.path());
            if metadata.is_file() && newest.as_ref().is_none_or(|newest| *newest < file) {
                newest = Some(file);
            }
        }
        newest.map(|(_, path)| path).ok_or_else(|| {
            let message = format!("no file in `{}` has a name like `{name}`", self.path.display());
            Error::new(ErrorKind::Unavailable, message).with_hint("see whether the file was delivered")
        })
    }

    /// The file, opened, and the names of its columns by their places; columns without a name are not there.
    fn start(&self) -> Result<(PathBuf, Lines<BufReader<Decoded<File>>>, Vec<String>)> {
        let path = self.file()?;
        let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        let decoded = BufReader::with_capacity(64 << 10, Decoded::new(file, self.encoding));
        let mut lines = Lines::new(decoded, self.separator);
        let located = |error: lines::Fault| error.in_file(&path);
        for _ in 0..self.skipped_lines {
            lines.skip_line().map_err(located)?;
        }
        let mut cells = Cells::default();
        if lines.next(&mut cells).map_err(located)?.is_none() {
            let message = format!("`{}` has no header", path.display());
            return Err(Error::new(ErrorKind::Protocol, message).with_hint("the first line names the columns"));
        }
        let names: Vec<String> = cells.iter().map(|name| name.trim().to_owned()).collect();
        for (place, name) in names.iter().enumerate() {
            if !name.is_empty() && names[..place].iter().any(|known| known.eq_ignore_ascii_case(name)) {
                let message = format!("the header of `{}` names the column `{name}` twice", path.display());
                return Err(Error::new(ErrorKind::Protocol, message).with_hint("give each column a name of its own"));
            }
        }
        Ok((path, lines, names))
    }

    fn course<'a>(&'a self, table: &'a Table) -> Result<Course<'a>> {
        if table.columns.is_empty() {
            let error = Error::new(ErrorKind::Settings, "which columns of the file are wanted is not said");
            return Err(error.with_hint("map them: `<EntityTypeMapping ConnectionTable=\"CONNECTION_records\">`"));
        }
        let (file, lines, names) = self.start()?;
        let place = |wanted: &str| {
            let alike = || names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
            names.iter().position(|name| name == wanted).or_else(alike).ok_or_else(|| {
                let known: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
                Error::new(ErrorKind::Settings, format!("`{}` has no column `{wanted}`", file.display()))
                    .with_hint(format!("its header names {}", known.join(", ")))
            })
        };
        let places = table.columns.iter().map(|column| place(&column.path)).collect::<Result<_>>()?;
        let (trimmed, width) = (self.trimmed.as_slice(), names.len());
        let (cells, keys) = (Cells::default(), HashMap::new());
        Ok(Course { table, lines, file, places, width, trimmed, cells, records: 0, keys })
    }
}

impl Course<'_> {
    /// The next records; none when all is read.
    fn batch(&mut self) -> Result<Option<Records>> {
        let mut records = Records::new(self.places.len());
        while records.len() < BATCH {
            let next = self.lines.next(&mut self.cells).map_err(|fault| fault.in_file(&self.file))?;
            let Some(line) = next else { break };
            if self.cells.len() != self.width {
                let what = format!("it has {} values and the header {}", self.cells.len(), self.width);
                return Err(self.refuse(line, &what, "see whether a quote or a separator is missing there"));
            }
            self.records += 1;
            if self.records > MAX_RECORDS {
                return Err(self.refuse(line, &format!("it is record {MAX_RECORDS} and one more"), "divide the file"));
            }
            self.check_key(line)?;
            records.push(self.places.iter().map(|&place| trim(self.cells.get(place), self.trimmed)));
        }
        Ok((!records.is_empty()).then_some(records))
    }

    fn check_key(&mut self, line: u64) -> Result<()> {
        let cell = |&index: &usize| trim(self.cells.get(self.places[index]), self.trimmed).trim();
        let key: Vec<&str> = self.table.key.iter().map(cell).collect();
        if key.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = self.table.key.iter().map(|&index| self.table.columns[index].path.as_str()).collect();
        let names = names.join("`, `");
        if key.iter().any(|cell| cell.is_empty()) {
            return Err(self.refuse(line, &format!("its key `{names}` is empty"), "give every record its key"));
        }
        match self.keys.insert(hash(&key), line) {
            None => Ok(()),
            Some(earlier) => {
                let what = format!("its key `{names}` is that of line {earlier}");
                Err(self.refuse(line, &what, "give every record a key of its own"))
            }
        }
    }

    fn refuse(&self, line: u64, what: &str, hint: &str) -> Error {
        let message = format!("`{}`, line {line}: {what}", self.file.display());
        Error::new(ErrorKind::Protocol, message).with_hint(hint.to_owned())
    }
}

#[async_trait]
impl Connector for CsvDirectory {
    fn capabilities(&self) -> Capabilities {
        Capabilities { tables: TABLES.to_vec() }
    }

    async fn test_connection(&self, tables: &[Table]) -> Result<ConnectionReport> {
        let (file, ..) = self.start()?;
        for table in tables.iter().filter(|table| !table.columns.is_empty()) {
            self.course(table)?;
        }
        let tables = tables.iter().map(|table| (table.name.clone(), true)).collect();
        let notes = vec![format!("the file is `{}`", file.display())];
        Ok(ConnectionReport { tables, notes, ..ConnectionReport::default() })
    }

    async fn schema(&self) -> Result<Vec<TableSchema>> {
        let (.., names) = self.start()?;
        let named = names.into_iter().filter(|name| !name.is_empty());
        let columns = named.map(|path| ColumnSchema {
            display_name: path.clone(),
            path,
            kind: ColumnKind::Text,
            multivalued: false,
            key: false,
        });
        Ok(vec![TableSchema { name: RECORDS.to_owned(), columns: columns.collect() }])
    }

    fn export<'a>(&'a self, tables: &'a [Table]) -> ExportStream<'a> {
        let Some((index, table)) = tables.iter().enumerate().find(|(_, table)| table.name == RECORDS) else {
            return stream::empty().boxed();
        };
        let course = match self.course(table) {
            Ok(course) => course,
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        let batches = stream::try_unfold(course, move |mut course| async move {
            let records = course.batch()?;
            Ok(records.map(|records| (RecordBatch { table: index, records }, course)))
        });
        batches.boxed()
    }
}

fn separator(settings: &ConnectionSettings) -> Result<u8> {
    let text = settings.text("Separator").unwrap_or(",");
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        _ if text.eq_ignore_ascii_case("tab") => Ok(b'\t'),
        [one] if one.is_ascii_graphic() && !one.is_ascii_alphanumeric() && *one != b'"' => Ok(*one),
        _ => Err(Error::setting("Separator", format!("`Separator` is `{text}`, which cannot separate values"))
            .with_hint("write `,`, `;`, `|`, or `tab`")),
    }
}

/// Whether the path is below the folder, once both are without links and dots.
fn is_below(path: &Path, root: &Path) -> bool {
    let plain = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    matches!((plain(path), plain(root)), (Ok(path), Ok(root)) if path.starts_with(&root))
}

fn trim<'a>(cell: &'a str, trimmed: &[String]) -> &'a str {
    let mut cell = cell;
    loop {
        let shorter =
            trimmed.iter().find_map(|what| cell.strip_prefix(what.as_str()).or(cell.strip_suffix(what.as_str())));
        match shorter {
            Some(shorter) => cell = shorter,
            None => return cell,
        }
    }
}

/// Two keys with the same of these are the same: a chance of one in many billions is left.
fn hash(key: &[&str]) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, key).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot read `{}`: {error}", path.display()))
        .with_hint("see whether the file was delivered and the agent's account may read it")
}

#[cfg(test)]
mod tests;
