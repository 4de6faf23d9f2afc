//! Tables, their columns and their records: the only shape in which a connector speaks of a managed system.
//!
//! Entity types and properties belong to the host and never come here.

/// One table to export: which columns, under which names, and which of them are the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The table's name in the managed system, such as `users`.
    pub name: String,
    /// The columns in the order of the file.
    pub columns: Vec<Column>,
    /// Indices of the key's columns, in the order by which records are sorted.
    pub key: Vec<usize>,
}

impl Table {
    /// Whether the key is the system's own identity of a record, so that a repeated key is the same record read twice.
    pub fn is_keyed_by(&self, identity: &[&str]) -> bool {
        self.key.len() == identity.len()
            && self.key.iter().zip(identity).all(|(&index, path)| self.columns[index].path.eq_ignore_ascii_case(path))
    }
}

/// A column of a table: its name in the file and where its value is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The header, as the mapping spells it.
    pub name: String,
    /// The dotted path of the value in a record, such as `profile.city`.
    pub path: String,
}

impl Column {
    /// A column whose header is its path.
    pub fn at(path: impl Into<String>) -> Self {
        let path = path.into();
        Self { name: path.clone(), path }
    }
}

/// Some records of one table, as many as came in one answer.
#[derive(Debug)]
pub struct RecordBatch {
    /// Index of the table in the list that was given to `export`.
    pub table: usize,
    /// The records; each has as many cells as the table has columns.
    pub records: Records,
}

/// Records of equal width, their cells side by side in one piece of text: no allocation per cell.
#[derive(Debug, Clone, Default)]
pub struct Records {
    text: String,
    ends: Vec<u32>,
    width: usize,
}

impl Records {
    /// No records yet, of `width` cells each.
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Adds one record.
    ///
    /// # Panics
    /// If the number of cells is not the width, or all cells together outgrow 4 GiB.
    pub fn push<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        let before = self.ends.len();
        for cell in cells {
            self.text.push_str(cell);
            self.ends.push(u32::try_from(self.text.len()).expect("a batch is one answer, far below 4 GiB"));
        }
        assert_eq!(self.ends.len() - before, self.width, "a record has one cell for each column");
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.ends.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The cells of each record, in the order of the columns.
    pub fn iter(&self) -> impl Iterator<Item = impl Iterator<Item = &str> + '_> + '_ {
        (0..self.len())
            .map(move |record| (record * self.width..(record + 1) * self.width).map(move |cell| self.cell(cell)))
    }

    fn cell(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.text[start..self.ends[index] as usize]
    }
}

/// What the managed system says about one of its tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// The table's name.
    pub name: String,
    /// The columns it has now.
    pub columns: Vec<ColumnSchema>,
}

/// What the managed system says about one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSchema {
    /// The dotted path, which is also the name of the column.
    pub path: String,
    /// The name that people see.
    pub display_name: String,
    /// The kind of its values.
    pub kind: ColumnKind,
    /// Whether a cell may hold several values.
    pub multivalued: bool,
    /// Whether the column is part of the record's identity.
    pub key: bool,
}

/// The kind of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnKind {
    /// Text, and everything that is exported as the system writes it.
    Text,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A point in time in the system's own format.
    DateTime,
    /// A JSON object.
    Object,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_give_back_the_cells_they_took() {
        let mut records = Records::new(2);
        records.push(["a", ""]);
        records.push(["", "ü"]);
        let back: Vec<Vec<&str>> = records.iter().map(Iterator::collect).collect();
        assert_eq!(back, [["a", ""], ["", "ü"]]);
        assert_eq!(records.len(), 2);
    }
}
