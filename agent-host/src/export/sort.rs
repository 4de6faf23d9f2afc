//! Sorts any number of records in bounded memory.
//!
//! Records gather in one piece of memory; when it is full they are sorted and appended as a run to a temporary file
//! without a name, so that a killed export leaves none behind. The end merges the runs. The order is that of the key's
//! cells, byte by byte and cell by cell; records of equal key stay in the order in which they arrived.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, binary_heap::PeekMut},
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::PathBuf,
};

/// Bytes read from or written to the temporary file at once, for each run.
const BLOCK: usize = 64 << 10;

/// A record in one piece: where each cell ends (`u32`, little endian), then the text of all cells.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl<'a> Record<'a> {
    pub(crate) fn new(bytes: &'a [u8], width: usize) -> Self {
        Self { bytes, width }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        &self.bytes[..self.text_at(self.width)]
    }

    #[inline]
    pub(crate) fn cell(self, index: usize) -> &'a [u8] {
        &self.bytes[self.text_at(index)..self.text_at(index + 1)]
    }

    pub(crate) fn cells(self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.width).map(move |index| self.cell(index))
    }

    #[inline]
    pub(crate) fn compare(self, other: Record<'_>, key: &[usize]) -> Ordering {
        let mut cells = key.iter().map(|&index| self.cell(index).cmp(other.cell(index)));
        cells.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// Where the text of the cell `index` starts, which is where the cell before it ends.
    #[inline]
    fn text_at(self, index: usize) -> usize {
        let text = self.width * 4;
        if index == 0 { text } else { text + read_u32(&self.bytes[(index - 1) * 4..]) }
    }
}

/// Takes records in any order and gives them back in the order of their key.
pub(crate) struct Sorter {
    width: usize,
    key: Vec<usize>,
    budget: usize,
    folder: PathBuf,
    /// The records of the run in the making; behind `kept` a draft.
    bytes: Vec<u8>,
    kept: usize,
    order: Vec<Entry>,
    spill: Option<Spill>,
}

/// Where a record starts and the first bytes in which its key differs from others: most comparisons need no more.
#[derive(Clone, Copy)]
struct Entry {
    prefix: u64,
    at: u32,
}

/// The temporary file and the sorted runs in it, oldest first.
struct Spill {
    file: File,
    runs: Vec<Range<u64>>,
}

impl Sorter {
    /// Sorts records of `width` cells by the cells `key`; spills into `folder` what outgrows `budget` bytes.
    pub(crate) fn new(width: usize, key: Vec<usize>, budget: usize, folder: PathBuf) -> Self {
        let budget = budget.min(u32::MAX as usize / 2);
        Self { width, key, budget, folder, bytes: Vec::new(), kept: 0, order: Vec::new(), spill: None }
    }

    /// Takes a record on trial: without [`Sorter::keep`] the next one replaces it.
    pub(crate) fn draft<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> Record<'_> {
        self.bytes.truncate(self.kept);
        let text = self.kept + self.width * 4;
        self.bytes.resize(text, 0);
        for (index, cell) in cells.enumerate() {
            self.bytes.extend_from_slice(cell.as_bytes());
            let end = u32::try_from(self.bytes.len() - text).expect("a record is part of one answer, far below 4 GiB");
            self.bytes[self.kept + index * 4..][..4].copy_from_slice(&end.to_le_bytes());
        }
        Record::new(&self.bytes[self.kept..], self.width)
    }

    /// Keeps the last draft.
    pub(crate) fn keep(&mut self) -> io::Result<()> {
        let at = u32::try_from(self.kept).expect("the budget is below 4 GiB");
        self.order.push(Entry { prefix: 0, at });
        self.kept = self.bytes.len();
        // The sort takes as much room again for its entries.
        if self.kept + self.order.len() * 2 * size_of::<Entry>() >= self.budget { self.spill() } else { Ok(()) }
    }

    /// Calls `take` with every record, in order.
    pub(crate) fn finish(mut self, take: impl FnMut(Record<'_>) -> io::Result<()>) -> io::Result<()> {
        if self.spill.is_none() {
            self.sort();
            return records(&self.bytes, &self.order, self.width).try_for_each(take);
        }
        if !self.order.is_empty() {
            self.spill()?;
        }
        let fan_in = (self.budget / BLOCK).clamp(2, 512);
        let Self { width, key, spill, bytes, order, .. } = self;
        // The merge takes their room.
        drop((bytes, order));
        let Spill { file, mut runs } = spill.expect("the records were spilled");
        while runs.len() > fan_in {
            runs = merge_some(&file, runs, fan_in, width, &key)?;
        }
        merge(&file, runs, width, &key, take)
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => self.spill.insert(Spill { file: tempfile::tempfile_in(&self.folder)?, runs: Vec::new() }),
        };
        let mut out = Appender::new(&spill.file)?;
        records(&self.bytes, &self.order, self.width).try_for_each(|record| out.push(record.bytes()))?;
        spill.runs.push(out.finish()?);
        self.bytes.clear();
        self.kept = 0;
        self.order.clear();
        Ok(())
    }

    fn sort(&mut self) {
        let (bytes, width, key) = (&self.bytes, self.width, &self.key);
        let record = |entry: &Entry| Record::new(&bytes[entry.at as usize..], width);
        let first = *key.first().expect("a table has a key");
        // Identifiers of one kind start alike: what all have in common would only fill the prefix.
        let Some(model) = self.order.first().map(|entry| record(entry).cell(first)) else { return };
        let common = self.order.iter().fold(model.len(), |common, entry| {
            model[..common].iter().zip(record(entry).cell(first)).take_while(|(a, b)| a == b).count()
        });
        for entry in &mut self.order {
            entry.prefix = prefix(&record(entry).cell(first)[common..]);
        }
        self.order.sort_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| record(a).compare(record(b), key)));
    }
}

fn records<'a>(bytes: &'a [u8], order: &'a [Entry], width: usize) -> impl Iterator<Item = Record<'a>> {
    order.iter().map(move |entry| Record::new(&bytes[entry.at as usize..], width))
}

/// Appends one run to the temporary file.
struct Appender<'a> {
    file: &'a File,
    run: Range<u64>,
    block: Vec<u8>,
}

impl<'a> Appender<'a> {
    fn new(mut file: &'a File) -> io::Result<Self> {
        let end = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, run: end..end, block: Vec::with_capacity(BLOCK) })
    }

    fn push(&mut self, record: &[u8]) -> io::Result<()> {
        if self.block.len() + record.len() > BLOCK {
            self.flush()?;
        }
        self.block.extend_from_slice(record);
        Ok(())
    }

    fn finish(mut self) -> io::Result<Range<u64>> {
        self.flush()?;
        Ok(self.run)
    }

    fn flush(&mut self) -> io::Result<()> {
        // The runs share one file, and a merge reads between two writes.
        self.file.seek(SeekFrom::Start(self.run.end))?;
        self.file.write_all(&self.block)?;
        self.run.end += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }
}

/// The first record of a run that is not yet merged, and a block of those behind it.
struct Head<'a> {
    file: &'a File,
    key: &'a [usize],
    width: usize,
    age: usize,
    rest: Range<u64>,
    block: Vec<u8>,
    at: usize,
}

impl Head<'_> {
    fn record(&self) -> Record<'_> {
        Record::new(&self.block[self.at..], self.width)
    }

    /// Goes on to the next record; false at the end of the run.
    fn advance(&mut self) -> io::Result<bool> {
        if !self.block.is_empty() {
            self.at += self.record().bytes().len();
        }
        let header = self.width * 4;
        self.ensure(header)?;
        if self.block.len() == self.at {
            return Ok(false);
        }
        let text = read_u32(&self.block[self.at + header - 4..]);
        self.ensure(header + text)?;
        Ok(true)
    }

    /// Reads on until the block holds `wanted` bytes from here, or all that is left.
    fn ensure(&mut self, wanted: usize) -> io::Result<()> {
        if self.block.len() - self.at >= wanted || self.rest.is_empty() {
            return Ok(());
        }
        self.block.drain(..self.at);
        self.at = 0;
        let have = self.block.len();
        let room = wanted.max(BLOCK) - have;
        let more = usize::try_from(self.rest.end - self.rest.start).map_or(room, |rest| rest.min(room));
        self.block.resize(have + more, 0);
        self.file.seek(SeekFrom::Start(self.rest.start))?;
        self.file.read_exact(&mut self.block[have..])?;
        self.rest.start += more as u64;
        Ok(())
    }
}

/// The greatest of a heap is to be the record that comes first.
impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.record().compare(self.record(), self.key).then_with(|| other.age.cmp(&self.age))
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head<'_> {}

/// Merges neighbouring runs, the oldest first, until `fan_in` are left or each has been merged once.
fn merge_some(
    file: &File,
    runs: Vec<Range<u64>>,
    fan_in: usize,
    width: usize,
    key: &[usize],
) -> io::Result<Vec<Range<u64>>> {
    let mut surplus = runs.len() - fan_in;
    let mut merged = Vec::new();
    let mut runs = runs.into_iter();
    while surplus > 0 && runs.len() > 0 {
        let few: Vec<_> = runs.by_ref().take(fan_in.min(surplus + 1)).collect();
        surplus -= few.len() - 1;
        let mut out = Appender::new(file)?;
        merge(file, few, width, key, |record| out.push(record.bytes()))?;
        merged.push(out.finish()?);
    }
    merged.extend(runs);
    Ok(merged)
}

fn merge(
    file: &File,
    runs: Vec<Range<u64>>,
    width: usize,
    key: &[usize],
    mut take: impl FnMut(Record<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut heads = BinaryHeap::with_capacity(runs.len());
    for (age, rest) in runs.into_iter().enumerate() {
        let mut head = Head { file, key, width, age, rest, block: Vec::new(), at: 0 };
        head.advance()?;
        heads.push(head);
    }
    while let Some(mut head) = heads.peek_mut() {
        take(head.record())?;
        let more = head.advance();
        // A run that is at its end, or cannot be read, has no record to compare.
        if !matches!(more, Ok(true)) {
            PeekMut::pop(head);
        }
        more?;
    }
    Ok(())
}

/// The first eight bytes as a number that compares as they do.
fn prefix(text: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = text.len().min(first.len());
    first[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(first)
}

fn read_u32(bytes: &[u8]) -> usize {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
}
