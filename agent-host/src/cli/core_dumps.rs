//! No core dumps: what a crashed agent held in memory, secrets included, stays off the disk.

/// Forbids core dumps for the rest of this process, and other accounts' debuggers with them where the system can.
#[cfg(unix)]
pub(super) fn forbid() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    // A system that refuses is no reason not to work.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Here the system writes dumps only where it was told to.
#[cfg(not(unix))]
pub(super) fn forbid() {}
