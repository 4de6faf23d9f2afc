//! A request to an agent, byte by byte as a test wants it: on a connection of its own, without a client in between.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The first line and the headers.
    pub head: String,
    /// What follows them.
    pub body: String,
}

/// Sends a request with these header lines, each with its end. None where no whole answer comes.
pub fn request(address: &str, method: &str, target: &str, headers: &str, body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    // Whoever refuses a body does not read it to the end.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("it answers in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let is_whole = header(head, "content-length").is_none_or(|length| length == body.len().to_string());
    is_whole.then(|| Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// The value of a header.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
