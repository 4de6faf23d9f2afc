//! Any text is a filter or is refused, and a filter written back reads as the same.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run filter -- -max_total_time=60` in `agent-host/scim`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(filter) = scim_server::parse_filter(text) {
        let written = filter.to_string();
        assert_eq!(scim_server::parse_filter(&written).expect("what is written back can be read"), filter, "{written}");
    }
});
