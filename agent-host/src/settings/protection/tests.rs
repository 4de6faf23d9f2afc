//! Protected values as they are made, moved, altered and opened.
