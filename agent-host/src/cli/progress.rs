//! How far an export is: a bar for each table on a terminal, else a line in the log now and then.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    export::{Progress, grouped},
    fulfill,
};

use super::logs;

/// Between two lines in the log.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows the progress of one export.
pub(super) struct Display {
    connection: String,
    started: Instant,
    last_line: Instant,
    on_terminal: bool,
    bars: BTreeMap<String, ProgressBar>,
    /// Below the bars: what is waited for, and how long it will take.
    outlook: Option<ProgressBar>,
}

impl Display {
    pub(super) fn new(connection: &str) -> Self {
        let now = Instant::now();
        let on_terminal = stderr().is_terminal();
        Self {
            connection: connection.to_owned(),
            started: now,
            last_line: now,
            on_terminal,
            bars: BTreeMap::new(),
            outlook: None,
        }
    }

    pub(super) fn show(&mut self, progress: &Progress<'_>) {
        if self.on_terminal {
            self.draw(progress);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let records: Vec<String> =
                progress.records.iter().map(|(table, records)| format!("{table} {}", grouped(*records))).collect();
            tracing::info!(
                connection.id = self.connection,
                requests = progress.traffic.total(),
                "exporting: {}; {}",
                records.join(", "),
                self.outlook(progress)
            );
        }
    }

    fn draw(&mut self, progress: &Progress<'_>) {
        for (table, records) in progress.records {
            let bar = self.bars.entry(table.clone()).or_insert_with(|| {
                let style = ProgressStyle::with_template("{prefix:>12} [{bar:24}] {msg}");
                let style = style.expect("the template is sound").progress_chars("=> ");
                logs::bars().add(ProgressBar::new(1).with_style(style).with_prefix(table.clone()))
            });
            let pages = progress.traffic.tables.get(table).copied().unwrap_or_default();
            let expected = pages.expected_pages.map(|expected| expected.max(pages.pages));
            bar.set_length(expected.unwrap_or(pages.pages + 1).max(1));
            bar.set_position(pages.pages);
            let of = expected.map_or_else(String::new, |expected| format!(" of {}", grouped(expected)));
            let unit = if pages.pages == 1 && expected.is_none() { "page" } else { "pages" };
            bar.set_message(format!("{} records, {}{of} {unit}", grouped(*records), grouped(pages.pages)));
        }
        let outlook = self.outlook(progress);
        let bar = self.outlook.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix:>12} {msg}").expect("the template is sound");
            logs::bars().add(ProgressBar::new(1).with_style(style))
        });
        bar.set_message(outlook);
    }

    /// Requests so far, what is waited for, and the time left.
    fn outlook(&self, progress: &Progress<'_>) -> String {
        let waits = progress.traffic.by_bucket.iter().filter_map(|(bucket, traffic)| Some((bucket, traffic.waiting?)));
        let waits: String =
            waits.map(|(bucket, wait)| format!(", waiting {} s for the limit of {bucket}", wait.as_secs())).collect();
        let left = self.left(progress).map_or_else(String::new, |left| format!(", about {} s left", left.as_secs()));
        format!("{} requests{waits}{left}", grouped(progress.traffic.total()))
    }

    /// Time left at the pace so far, once it is known how much there is; not less than the wait for a limit.
    fn left(&self, progress: &Progress<'_>) -> Option<Duration> {
        let tables = progress.traffic.tables.values();
        let (done, all) = tables.fold((0, 0), |(done, all), table| {
            (done + table.pages, all + table.expected_pages.unwrap_or(0).max(table.pages))
        });
        let left = u32::try_from(all - done).ok().filter(|left| *left > 0)?;
        let at_this_pace = self.started.elapsed() / u32::try_from(done).ok().filter(|done| *done > 0)? * left;
        let waits = progress.traffic.by_bucket.values().filter_map(|bucket| bucket.waiting);
        waits.chain([at_this_pace]).max()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        for bar in self.bars.values().chain(&self.outlook) {
            bar.finish_and_clear();
        }
    }
}

/// Shows the progress of one run of orders.
pub(super) struct OrdersDisplay {
    connection: String,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl OrdersDisplay {
    pub(super) fn new(connection: &str) -> Self {
        Self { connection: connection.to_owned(), last_line: Instant::now(), bar: None }
    }

    pub(super) fn show(&mut self, progress: &fulfill::Progress) {
        let waits = progress.traffic.by_bucket.iter().filter_map(|(bucket, traffic)| Some((bucket, traffic.waiting?)));
        let waits: String =
            waits.map(|(bucket, wait)| format!(", waiting {} s for the limit of {bucket}", wait.as_secs())).collect();
        let [done, orders, errored, requests] =
            [progress.done, progress.orders, progress.errored, progress.traffic.total()].map(grouped);
        let said = format!("{done} of {orders} orders, {errored} errored, {requests} requests{waits}");
        if stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| {
                let style = ProgressStyle::with_template("{prefix:>12} [{bar:24}] {msg}");
                let style = style.expect("the template is sound").progress_chars("=> ");
                logs::bars().add(ProgressBar::new(1).with_style(style).with_prefix("orders"))
            });
            bar.set_length(progress.orders.max(1));
            bar.set_position(progress.done);
            bar.set_message(said);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            tracing::info!(connection.id = self.connection, "fulfilling: {said}");
        }
    }
}

impl Drop for OrdersDisplay {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}
