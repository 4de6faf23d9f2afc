//! Rows that keep their number for life: a cursor stays good while rows come and go around it.
//! Ids are found through a map; a deleted row leaves a hole.

use std::collections::HashMap;

#[derive(Debug)]
pub(crate) struct Table<T> {
    rows: Vec<Option<T>>,
    by_id: HashMap<Box<str>, u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), by_id: HashMap::new() }
    }
}

impl<T> Table<T> {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self { rows: Vec::with_capacity(rows), by_id: HashMap::with_capacity(rows) }
    }

    pub(crate) fn insert(&mut self, id: &str, record: T) -> u32 {
        let row = u32::try_from(self.rows.len()).expect("fewer than four billion rows");
        self.rows.push(Some(record));
        self.by_id.insert(id.into(), row);
        row
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<(u32, T)> {
        let row = self.by_id.remove(id)?;
        Some((row, self.rows[row as usize].take()?))
    }

    pub(crate) fn row(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn get(&self, row: u32) -> Option<&T> {
        self.rows.get(row as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, row: u32) -> Option<&mut T> {
        self.rows.get_mut(row as usize)?.as_mut()
    }

    /// Rows in order from number `start` on.
    pub(crate) fn from(&self, start: u64) -> impl Iterator<Item = (u64, &T)> {
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(self.rows.len());
        self.rows[start..]
            .iter()
            .enumerate()
            .filter_map(move |(n, record)| Some(((start + n) as u64, record.as_ref()?)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().flatten()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_number() {
        let mut table = Table::default();
        for id in ["a", "b", "c"] {
            table.insert(id, id);
        }
        table.remove("b");
        assert_eq!(table.from(1).collect::<Vec<_>>(), [(2, &"c")]);
        assert_eq!((table.row("c"), table.len(), table.get(1)), (Some(2), 2, None));
    }
}
