//! What a connector can do, said without asking the managed system, and what a test of the connection found.

/// What a connector offers.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// The tables it knows, in the order in which people list them.
    pub tables: Vec<TableCapability>,
}

impl Capabilities {
    /// The table of this name, whatever the case.
    pub fn table(&self, name: &str) -> Option<&TableCapability> {
        self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// The tables that exports hold.
    pub fn exported(&self) -> impl Iterator<Item = &TableCapability> {
        self.tables.iter().filter(|table| table.exported)
    }
}

/// One table a connector knows.
#[derive(Debug, Clone, Copy)]
pub struct TableCapability {
    /// The table's name, such as `users`.
    pub name: &'static str,
    /// The fixed fields in the system's own order: they come first in the file, in this order.
    pub fields: &'static [&'static str],
    /// What follows the fixed fields in the file when no mapping names the table.
    pub default_attributes: &'static [&'static str],
    /// The columns that are the system's own identity of a record.
    pub identity: &'static [&'static str],
    /// For a table of links: its two sides, the one that sorts first at the front. Else empty.
    pub sides: &'static [Side],
    /// Whether an export without any of its records is refused even where none was seen before.
    pub never_empty: bool,
    /// Whether exports hold it; links of the others are written by orders and never read as a whole.
    pub exported: bool,
}

impl TableCapability {
    /// The columns of the file when no mapping names the table.
    pub fn default_columns(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().chain(self.default_attributes).copied()
    }
}

/// One side of a table of links.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// The table whose records this side points at, by their identity.
    pub table: &'static str,
    /// The column that holds the identity.
    pub column: &'static str,
    /// Other names under which a mapping may ask for the column.
    pub aliases: &'static [&'static str],
}

/// What a test of a connection found.
#[derive(Debug, Clone, Default)]
pub struct ConnectionReport {
    /// Each table that was asked for, and whether it can be read.
    pub tables: Vec<(String, bool)>,
    /// What is wrong; empty when all is well.
    pub problems: Vec<Problem>,
    /// What works and may soon stop, or works worse than it could.
    pub warnings: Vec<Problem>,
    /// What is worth knowing and no problem, such as the organisation's name.
    pub notes: Vec<String>,
}

/// One thing that is wrong with a connection, or may become so.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}
