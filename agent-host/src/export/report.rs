//! What an export did, as JSON for machines and as text for people.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Serialize, Serializer};

use super::{difference::Difference, manifest::Requests};

/// What an export did.
#[derive(Debug, Serialize)]
pub struct ExportReport {
    /// The connection's identifier.
    pub connection: String,
    /// The folder the files are in.
    pub output: PathBuf,
    /// Whether the files were put in place.
    pub published: bool,
    /// In the order of the connector; an object by name in JSON.
    #[serde(serialize_with = "by_name")]
    pub tables: Vec<TableReport>,
    /// The requests it took.
    pub requests: Requests,
    /// Answers that said "too many requests".
    pub throttled: u64,
    /// The most requests under way at once.
    pub max_in_flight: u32,
    /// By bucket: how long its limit was used up while something waited for it.
    pub waited_ms: BTreeMap<String, u64>,
    /// How long it all took.
    pub duration_ms: u64,
}

/// One table of an export.
#[derive(Debug, Serialize)]
pub struct TableReport {
    /// The table's name.
    #[serde(skip)]
    pub name: String,
    /// The file's name.
    pub file: String,
    /// Records in the file.
    pub records: u64,
    /// Records that are not in the file, because their key is empty or repeated.
    pub rejected: u64,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
    /// How it differs from the set before, where that was at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

/// The report as people read it.
impl fmt::Display for ExportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            let records = grouped(table.records);
            write!(f, "{:>12} {records:>12} records  {}", table.name, table.file)?;
            if table.rejected > 0 {
                write!(f, "  {} not published, see the manifest", grouped(table.rejected))?;
            }
            writeln!(f)?;
        }
        let took = Duration::from_millis(self.duration_ms).as_secs_f64();
        write!(f, "Exported `{}` to {} in {took:.1} s", self.connection, self.output.display())?;
        let waited = Duration::from_millis(self.waited_ms.values().copied().max().unwrap_or(0)).as_secs_f64();
        if waited > 0.0 {
            write!(f, ", {waited:.1} s of it waiting for rate limits")?;
        }
        let (requests, throttled) = (grouped(self.requests.total), grouped(self.throttled));
        writeln!(f, ": {requests} requests, {throttled} refused for their frequency.")
    }
}

/// A number with its thousands set apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn by_name<S: Serializer>(tables: &[TableReport], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(tables.iter().map(|table| (&table.name, table)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(
            ["0", "999", "1,000", "12,345,678"],
            [0, 999, 1_000, 12_345_678].map(grouped).each_ref().map(String::as_str)
        );
    }
}
