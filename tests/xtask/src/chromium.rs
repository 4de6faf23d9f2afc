//! Chromium and its driver, by which tests use the dashboard and take pictures of pages and mails, into `pictures` in the
//! target folder.
//!
//! Installed by apt where that can be done without asking; where it cannot be had, those tests are left out.

use std::process::{Command, Stdio};

/// Whether it is there, after it was installed where that was possible.
pub(crate) fn is_here() -> bool {
    let are_here = || works("chromium", &["--version"]) && works("chromedriver", &["--version"]);
    if are_here() {
        return true;
    }
    println!("Chromium is missing: installing it with `apt-get install chromium chromium-driver`.");
    works("apt-get", &["update"])
        && works("apt-get", &["install", "-y", "--no-install-recommends", "chromium", "chromium-driver"])
        && are_here()
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
