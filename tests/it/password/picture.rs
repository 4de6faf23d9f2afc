//! Pictures of pages and mails, for people to look at: by Chromium, into `pictures` in the target folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::say;

/// Takes a picture of a mail. Where there is no Chromium it says so.
pub(super) fn take(name: &str, html: &str) {
    let page = tempfile::Builder::new().suffix(".html").tempfile().expect("a temporary file");
    fs::write(page.path(), html).expect("it can be written");
    shoot(name, &format!("file://{}", page.path().display()), "en", (640, 760), false);
}

/// Takes a picture of what is at this address, light and dark.
pub(super) fn take_of(name: &str, address: &str, language: &str, width: u32, height: u32) {
    shoot(&format!("{name}-light"), address, language, (width, height), false);
    shoot(&format!("{name}-dark"), address, language, (width, height), true);
}

fn shoot(name: &str, address: &str, language: &str, (width, height): (u32, u32), is_dark: bool) {
    let folder = folder();
    fs::create_dir_all(&folder).expect("the folder can be made");
    let picture = folder.join(format!("{name}.png"));
    let profile = tempfile::tempdir().expect("a temporary folder");
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    chromium.args(is_dark.then_some("--blink-settings=preferredColorScheme=0"));
    chromium.arg(format!("--accept-lang={language}"));
    chromium.arg(format!("--user-data-dir={}", profile.path().display()));
    chromium.arg(format!("--window-size={width},{height}"));
    chromium.arg(format!("--screenshot={}", picture.display())).arg(address);
    let status = chromium.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !status.is_ok_and(|status| status.success()) {
        say(&format!(
            "left out: no picture of {name}, because Chromium is not there (Debian: apt-get install chromium)"
        ));
        return;
    }
    let written = fs::metadata(&picture).expect("the picture is there").len();
    assert!(written > 4_000, "{} shows nothing", picture.display());
}

fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let target = test.ancestors().nth(3).unwrap_or(Path::new("."));
    target.join("pictures")
}
