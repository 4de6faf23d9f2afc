//! Chromium, driven as a person would: by `chromedriver` and plain WebDriver over HTTP (W3C WebDriver).
//!
//! The browser tells what it complained of and where it went, so that a test can say "no error, and nowhere else". Where
//! it is not installed, there is none, and the test says so.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How an element is called in WebDriver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Tab and Enter, as WebDriver's keys.
pub const TAB: char = '\u{E004}';
/// Enter.
pub const ENTER: char = '\u{E007}';
const PATIENCE: Duration = Duration::from_secs(40);

/// A browser window.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    address: String,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Opens a window; none where Chromium or its driver is not there.
    pub fn open() -> Option<Self> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().ok()?;
        let lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let port =
            lines.filter_map(|line| line.split_once("started successfully on port ").map(|(_, port)| port.to_owned()));
        let port = port.map(|port| port.trim_end_matches('.').to_owned()).next().expect("it says where it listens");
        let profile = tempfile::tempdir().expect("a temporary folder");
        let user_data = format!("--user-data-dir={}", profile.path().display());
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", &user_data];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        } } });
        let mut browser =
            Self { driver, address: format!("127.0.0.1:{port}"), session: String::new(), _profile: profile };
        let made = browser.ask("POST", "/session", &capabilities).ok()?;
        browser.session = format!("/session/{}", made["sessionId"].as_str()?);
        Some(browser)
    }

    /// Goes to an address.
    pub fn go(&self, address: &str) {
        self.must("POST", "/url", &json!({ "url": address }));
    }

    /// Where it is.
    pub fn address(&self) -> String {
        self.must("GET", "/url", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// What this script gives.
    pub fn run(&self, script: &str) -> Value {
        self.must("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What the page says.
    pub fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Clicks what this CSS selector finds.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let path = format!("/element/{}/click", self.find(selector));
        self.must("POST", &path, &json!({}));
    }

    /// Clicks the button or link with this text, which leads to another page, and waits until that is there.
    #[track_caller]
    pub fn press(&self, text: &str) {
        let script = "window.__former = true; const all = [...document.querySelectorAll('main button, main a, main summary')];\
            const it = all.find(one => one.textContent.trim() === arguments[0] && one.getClientRects().length);\
            if (!it) return false; it.scrollIntoView({block: 'center'}); it.click(); return it.tagName;";
        let found = self.must("POST", "/execute/sync", &json!({ "script": script, "args": [text] }));
        assert!(found != false, "`{text}` is on the page {}:\n{}", self.address(), self.text());
        if found != "SUMMARY" {
            self.until(|| self.run("return !window.__former && document.readyState") == "complete");
        }
    }

    /// Types into what this CSS selector finds.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        let path = format!("/element/{}/value", self.find(selector));
        self.must("POST", &path, &json!({ "text": text }));
    }

    /// Presses keys, wherever the focus is.
    pub fn keys(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        self.must("POST", "/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    /// Waits until this is so.
    #[track_caller]
    pub fn until(&self, is_so: impl Fn() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "it does not come about on {}:\n{}", self.address(), self.text());
            std::thread::yield_now();
        }
    }

    /// Waits until the page says this.
    #[track_caller]
    pub fn reads(&self, text: &str) {
        self.until(|| self.text().contains(text));
    }

    /// Shows pages so wide, in the dark or not.
    pub fn look(&self, width: u32, is_dark: bool) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// Takes a picture of the whole page into `pictures` in the target folder.
    pub fn picture(&self, name: &str) {
        let folder = pictures();
        fs::create_dir_all(&folder).expect("the folder can be made");
        let shot = self.devtools("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        let bytes = BASE64_STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("it is base64");
        assert!(bytes.len() > 4_000, "{name} shows nothing");
        fs::write(folder.join(format!("{name}.png")), bytes).expect("it can be written");
    }

    /// What the browser complained of since it was last asked: errors of scripts, of the policy, of what was not found.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.must("POST", "/se/log", &json!({ "type": "browser" }));
        let lines = log.as_array().into_iter().flatten();
        lines.filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING").map(Value::to_string).collect()
    }

    /// The hosts that it asked since it was last asked; pages of its own are none.
    pub fn hosts(&self) -> Vec<String> {
        let log = self.must("POST", "/se/log", &json!({ "type": "performance" }));
        let messages = log
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|line| serde_json::from_str::<Value>(line["message"].as_str()?).ok());
        let asked = messages.filter(|it| it["message"]["method"] == "Network.requestWillBeSent");
        let addresses = asked.filter_map(|it| Some(it["message"]["params"]["request"]["url"].as_str()?.to_owned()));
        let mut hosts: Vec<String> = addresses
            .filter(|it| it.starts_with("http") || it.starts_with("ws"))
            .filter_map(|it| Some(it.split_once("://")?.1.split('/').next()?.to_owned()))
            .collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    fn find(&self, selector: &str) -> String {
        let began = Instant::now();
        loop {
            let asked = json!({ "using": "css selector", "value": selector });
            match self.ask("POST", &format!("{}/element", self.session), &asked) {
                Ok(found) => return found[ELEMENT].as_str().expect("an element").to_owned(),
                Err(why) => assert!(began.elapsed() < PATIENCE, "{selector}: {why} on {}", self.address()),
            }
        }
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.must("POST", "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    #[track_caller]
    fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("{}{path}", self.session);
        self.ask(method, &path, body).unwrap_or_else(|why| panic!("{path}: {why}"))
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let mut stream = TcpStream::connect(&self.address).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).map_err(|error| error.to_string())?;
        // The driver keeps the connection open, whatever it was asked.
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).map_err(|error| error.to_string())?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().map_err(|_| "no length")?;
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        match answer["value"].get("error").and_then(Value::as_str) {
            Some(error) => Err(format!("{error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].take()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Else the browser outlives its driver.
        let _ = self.ask("DELETE", &self.session, &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn pictures() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    test.ancestors().nth(3).unwrap_or(Path::new(".")).join("pictures")
}
