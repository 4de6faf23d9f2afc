//! Any text is the path of a PATCH operation or is refused, and a path written back reads as the same.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run path -- -max_total_time=60` in `agent-host/scim`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(path) = scim_server::parse_path(text) {
        let written = path.to_string();
        assert_eq!(scim_server::parse_path(&written).expect("what is written back can be read"), path, "{written}");
    }
});
