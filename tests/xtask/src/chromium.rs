//! Chromium, by which tests take pictures of pages and mails, into `pictures` in the target folder.
//!
//! Installed by apt where that can be done without asking; where it cannot be had, those pictures are left out.

use std::process::{Command, Stdio};

/// Whether it is there, after it was installed where that was possible.
pub(crate) fn is_here() -> bool {
    if works("chromium", &["--version"]) {
        return true;
    }
    println!("Chromium is missing: installing it with `apt-get install chromium`.");
    works("apt-get", &["update"])
        && works("apt-get", &["install", "-y", "--no-install-recommends", "chromium"])
        && works("chromium", &["--version"])
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
