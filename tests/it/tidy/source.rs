//! The workspace's own files, and each Rust file seen as code, comments and literals.
//!
//! A rule that looks for a name must not stumble over a sentence about it, and most rules let tests go their own ways.
//! So every view has the length of the text, with blanks for what it leaves out: positions and lines stay right.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// Every text file of the workspace.
pub(crate) static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut sources = Vec::new();
    read_folder(&root(), &mut sources);
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    leave_out_test_modules(&mut sources);
    sources
});

/// A file of the workspace. What is not Rust has its text alone.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) comments: String,
    /// Without comments, and with nothing between quotes.
    pub(crate) code: String,
    /// The same without tests.
    pub(crate) product_code: String,
    /// Texts between quotes, outside tests.
    pub(crate) product_literals: String,
    /// How many lines are no test.
    pub(crate) product_lines: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            comments: String::new(),
            code: String::new(),
            product_code: String::new(),
            product_literals: String::new(),
            product_lines: 0,
        };
        if path.ends_with(".rs") {
            let kinds = kinds(text);
            source.comments = view(text, |at| kinds[at] == Kind::Comment);
            source.code = view(text, |at| kinds[at] == Kind::Code);
            let whole = 0..text.len();
            let tests = if is_test_file(path) { vec![whole] } else { tests(&source.code) };
            let is_test = |at: usize| tests.iter().any(|range| range.contains(&at));
            source.product_code = view(text, |at| kinds[at] == Kind::Code && !is_test(at));
            source.product_literals = view(text, |at| kinds[at] == Kind::Literal && !is_test(at));
            let test_lines: usize = tests.into_iter().map(|range| text[range].lines().count()).sum();
            source.product_lines = text.lines().count() - test_lines;
        }
        source
    }
}

/// Files declared by `#[cfg(test)] mod name;` are tests as a whole.
fn leave_out_test_modules(sources: &mut [Source]) {
    let declared: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in sources {
        let place = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        if declared.iter().any(|module| place == module || place.starts_with(&format!("{module}/"))) {
            source.product_code.clear();
            source.product_literals.clear();
            source.product_lines = 0;
        }
    }
}

/// Paths, without `.rs`, of the modules that the file declares as tests.
fn test_modules(source: &Source) -> Vec<String> {
    let place = source.path.trim_end_matches(".rs");
    let folder = ["/lib", "/main", "/mod"].iter().find_map(|root| place.strip_suffix(root)).unwrap_or(place);
    let items = tests(&source.code).into_iter().map(|range| &source.code[range]);
    let names = items.filter_map(|item| item.strip_suffix(';')?.split_once("mod ").map(|(_, name)| name));
    names.map(|name| format!("{folder}/{name}")).collect()
}

/// The folder of the workspace's Cargo.toml.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_owned()
}

fn read_folder(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("the workspace can be read") {
        let path = entry.expect("the workspace can be read").path();
        if path.is_dir() {
            // Git's own files, and target directories, which cargo marks so.
            if !path.ends_with(".git") && !path.join("CACHEDIR.TAG").exists() {
                read_folder(&path, sources);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let name = path.strip_prefix(root()).expect("the walk stays below the root").to_string_lossy();
            if name != ".git" {
                sources.push(Source::new(&name.replace('\\', "/"), &text));
            }
        }
    }
}

/// Files that are tests as a whole. The commands of the repository lie beside the tests, but are none.
fn is_test_file(path: &str) -> bool {
    let in_tests = path.starts_with("tests/") && !path.starts_with("tests/xtask/");
    in_tests || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The items under `#[cfg(test)]`: each ends with its braces, or with a semicolon where it has none.
fn tests(code: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, _) in code.match_indices(MARK) {
        let mut depth = 0;
        let end = code[start + MARK.len()..].char_indices().find(|(_, character)| {
            match character {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth -= 1,
                _ => {}
            }
            depth == 0 && matches!(character, ';' | '}')
        });
        let end = end.map_or(code.len(), |(offset, _)| start + MARK.len() + offset + 1);
        if found.last().is_none_or(|last| last.end <= start) {
            found.push(start..end);
        }
    }
    found
}

/// The text with blanks where `keep` says no; lines stay.
fn view(text: &str, keep: impl Fn(usize) -> bool) -> String {
    let seen = text.bytes().enumerate().map(|(at, byte)| if byte == b'\n' || keep(at) { byte } else { b' ' });
    String::from_utf8(seen.collect()).expect("the bytes of one character are of one kind")
}

/// What each byte belongs to.
fn kinds(text: &str) -> Vec<Kind> {
    let mut kinds = Vec::with_capacity(text.len());
    while kinds.len() < text.len() {
        let at = kinds.len();
        let rest = &text[at..];
        let in_name = text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        let (kind, length) = if rest.starts_with("//") {
            (Kind::Comment, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (Kind::Comment, block_comment(rest))
        } else if let Some(length) = raw_text(rest).filter(|_| !in_name) {
            (Kind::Literal, length)
        } else if rest.starts_with('"') {
            (Kind::Literal, quoted(rest, '"'))
        } else if is_character(rest) {
            (Kind::Literal, quoted(rest, '\''))
        } else {
            (Kind::Code, rest.chars().next().map_or(1, char::len_utf8))
        };
        kinds.resize(at + length, kind);
    }
    kinds
}

/// The length of a comment between `/*` and `*/`, which may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for at in 0..text.len() {
        if text.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
        } else if text.as_bytes()[..at].ends_with(b"*/") {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    text.len()
}

/// The length of a text such as `r#"…"#`.
fn raw_text(text: &str) -> Option<usize> {
    let opened = ["br", "cr", "r"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let hashes = opened.len() - opened.trim_start_matches('#').len();
    let inside = opened[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close).map_or(inside.len(), |end| end + close.len());
    Some(text.len() - inside.len() + end)
}

/// The length of a literal from its first quote to its last.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let last = text.char_indices().skip(1).find(|&(_, character)| {
        let ends = character == quote && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    });
    last.map_or(text.len(), |(at, _)| at + 1)
}

/// Whether a character literal starts here, rather than a lifetime.
fn is_character(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next() == Some('\'')
        && match characters.next() {
            Some('\\') => true,
            Some(_) => characters.next() == Some('\''),
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_apart_into_code_comments_and_literals() {
        let cases = [
            ("a(); // b", "a();     ", "     // b", "         "),
            ("a /* b /* c */ d */ e", "a                   e", "  /* b /* c */ d */  ", "                     "),
            (r#"a("b\"c") d"#, "a(      ) d", "           ", r#"  "b\"c"   "#),
            (r##"r#"b"c"# d"##, "         d", "          ", r##"r#"b"c"#  "##),
            ("for r in a", "for r in a", "          ", "          "),
            ("'a' '\\'' &'b c", "         &'b c", "              ", "'a' '\\''      "),
            ("\"//\" a", "     a", "      ", "\"//\"  "),
        ];
        for (text, code, comments, literals) in cases {
            let source = Source::new("a/src/lib.rs", text);
            let seen = [source.code.as_str(), source.comments.as_str(), source.product_literals.as_str()];
            assert_eq!(seen, [code, comments, literals], "{text}");
        }
    }

    #[test]
    fn tests_are_no_product() {
        let cases = [
            ("a/src/lib.rs", "a();\n#[cfg(test)]\nmod tests {\n    b({});\n}\nc();\n", "a(); c();", 2),
            ("a/src/lib.rs", "#[cfg(test)]\nmod tests;\nc();\n", "c();", 1),
            ("a/src/lib.rs", "#[cfg(test)]\n#[derive(Debug)]\nstruct T(u8);\nc();\n", "c();", 1),
            ("a/src/lib.rs", "#[cfg(not(test))]\nb();\n", "#[cfg(not(test))] b();", 2),
            ("a/src/b/tests.rs", "b();\n", "", 0),
            ("a/tests/it/main.rs", "b();\n", "", 0),
            ("tests/src/lib.rs", "b();\n", "", 0),
            ("tests/xtask/src/main.rs", "b();\n", "b();", 1),
        ];
        for (path, text, product, lines) in cases {
            let source = Source::new(path, text);
            let words: Vec<&str> = source.product_code.split_whitespace().collect();
            assert_eq!((words.join(" ").as_str(), source.product_lines), (product, lines), "{path}: {text}");
        }
    }

    #[test]
    fn a_module_declared_as_a_test_is_no_product() {
        let files = [
            ("a/src/lib.rs", "mod b;\n#[cfg(test)]\nmod scenarios;\n", 1),
            ("a/src/b.rs", "#[cfg(test)]\nmod cases;\nf();\n", 1),
            ("a/src/scenarios.rs", "f();\n", 0),
            ("a/src/scenarios/c.rs", "f();\n", 0),
            ("a/src/b/cases/mod.rs", "f();\n", 0),
            ("a/src/cases.rs", "f();\n", 1),
        ];
        let mut sources = files.map(|(path, text, _)| Source::new(path, text));
        leave_out_test_modules(&mut sources);
        for (source, (path, _, lines)) in sources.iter().zip(files) {
            assert_eq!((source.product_lines, source.product_code.is_empty()), (lines, lines == 0), "{path}");
        }
    }

    #[test]
    fn this_file_is_among_the_sources() {
        assert!(SOURCES.iter().any(|source| source.path == "tests/it/tidy/source.rs"));
        assert!(!SOURCES.iter().any(|source| source.path.starts_with("target/")));
    }
}
