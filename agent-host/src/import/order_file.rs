//! A file of orders in the making, which readers see when it is whole.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::disk;

/// Orders on their way into a file.
pub(super) struct OrderFile {
    out: BufWriter<File>,
    making: PathBuf,
    place: PathBuf,
    pub(super) count: u64,
}

impl OrderFile {
    /// A file that will be called `name`.
    pub(super) fn new(folder: &Path, name: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let making = folder.join(format!(".{name}"));
        let mut out = BufWriter::new(disk::create_private(&making)?);
        out.write_all(b"{\"ProvisioningOrdersList\":[\n")?;
        Ok(Self { out, making, place: folder.join(name), count: 0 })
    }

    pub(super) fn push(&mut self, order: &Value) -> io::Result<()> {
        if self.count > 0 {
            self.out.write_all(b",\n")?;
        }
        self.count += 1;
        serde_json::to_writer(&mut self.out, order).map_err(Into::into)
    }

    /// Puts the file in place, unless there is no order in it.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        if self.count == 0 { fs::remove_file(&self.making) } else { disk::put_in_place(&self.making, &self.place) }
    }

    /// Forgets the orders.
    pub(super) fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.making)
    }
}
