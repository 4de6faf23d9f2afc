//! `agent-host run`: the daemon, until Ctrl-C or SIGTERM. SIGHUP makes it read its settings anew.

use std::process::ExitCode;

use super::{
    Common,
    interrupt::{asked_to_end, hang_ups},
    logs, now_ms,
};
use crate::{
    daemon::{self, Start},
    reload::reload,
};

pub(super) async fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let (asks, reloads) = reload();
    let by_signal = asks.clone();
    tokio::spawn(async move {
        let mut hang_ups = hang_ups();
        while hang_ups.come().await {
            tracing::info!("asked to read the settings anew");
            // What came of it is in the log already.
            let _ = by_signal.ask().await;
        }
    });
    let start = Start {
        directory: &common.directory,
        log: &|level| logs::start(common, level),
        clock: now_ms,
        reload: asks,
        reloads,
    };
    daemon::run(start, asked_to_end()).await?;
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}
