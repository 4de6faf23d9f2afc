//! The agent: what it does for identity governance, module by module in reading order.

pub mod export;
