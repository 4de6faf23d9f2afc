//! The repository's own commands, run as `cargo xtask COMMAND`.
//!
//! `test` is everything a change must pass, in the order in which failures come soonest; `bench` measures. Both only
//! call cargo (and once pip), say what they call, and stop at the first failure, so that each step can be repeated alone.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command of the repository talks to who runs it")]

mod cargo_deb;
mod python;
mod step;
mod tools;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use step::Step;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test             formatting, lints, all tests, documentation, dependencies: what a change must pass
  bench [ARG...]   builds the programs in release and runs the measurements with these arguments
  package          builds the program in release and makes the Debian package of it, in the target folder's `debian`
  --help           this text

Example:
  cargo xtask test
";

/// Clippy and the documentation are asked for the same features, so that they share what they have checked.
const TEST: [Step; 6] = [
    Step::new("Formatting", &["fmt", "--all", "--check"]),
    Step::new("Lints", &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]),
    // The tests of the whole product start these programs.
    Step::new("Programs", &["build", "--workspace", "--bins", "--all-features"]),
    Step::new("Tests", &["test", "--workspace", "--all-features"]),
    // The product as most build it; the steps above and below are about all features.
    Step::new("Default features", &["test", "-p", "agent-host", "--lib", "settings::vaults"]),
    Step::new("Documentation", &["doc", "--workspace", "--no-deps", "--all-features"])
        .with_variable("RUSTDOCFLAGS", "-D warnings"),
];

/// Advisories are left out: they need a network, and come by the day, not with a change.
const DENY: Step = Step::new("Dependencies", &["deny", "--all-features", "check", "bans", "licenses", "sources"]);

const RELEASE: Step =
    Step::new("Programs", &["build", "--release", "-p", "agent-host", "-p", "okta-sandbox", "--bins"]);

const BENCH: Step = Step::new("Measurements", &["run", "--release", "-p", "acceptance", "--bin", "bench", "--"]);

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Test,
    Bench(Vec<String>),
    Package,
    Help,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match command(&arguments) {
        Some(Command::Test) => test(),
        Some(Command::Bench(arguments)) => bench(&arguments),
        Some(Command::Package) => package(),
        Some(Command::Help) => {
            print!("{USAGE}");
            Ok(())
        }
        None => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    outcome.map_or_else(
        |failure| {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// What the arguments ask for; nothing where they are not understood.
fn command(arguments: &[String]) -> Option<Command> {
    let (name, rest) = arguments.split_first()?;
    match (name.as_str(), rest) {
        ("test", []) => Some(Command::Test),
        ("bench", rest) => Some(Command::Bench(rest.to_vec())),
        ("package", []) => Some(Command::Package),
        ("--help" | "-h" | "help", []) => Some(Command::Help),
        _ => None,
    }
}

fn test() -> Result<(), String> {
    install_components()?;
    let target = target_folder()?;
    let mut lacking = tools::install();
    if python::is_here() {
        python::install(&target)?;
    }
    if tools::can_package()
        && let Err(problem) = cargo_deb::install(&target)
    {
        lacking.push(format!("There is no cargo-deb. Not tried: the Debian package. {problem}."));
    }
    let deny = step::succeeds(&["deny", "--version"]);
    let steps: Vec<&Step> = TEST.iter().chain(deny.then_some(&DENY)).collect();
    let times = run_all(&steps)?;
    println!("\nAll passed:");
    for (step, time) in steps.iter().zip(&times) {
        println!("{:>16} {:>7.1} s", step.title, time.as_secs_f64());
    }
    println!("{:>16} {:>7.1} s", "in all", times.iter().sum::<Duration>().as_secs_f64());
    for line in &lacking {
        println!("{line}");
    }
    if !deny {
        println!("cargo-deny is not installed; `tests/it/dependencies.rs` keeps the essence of deny.toml.");
    }
    Ok(())
}

fn bench(arguments: &[String]) -> Result<(), String> {
    RELEASE.run(&[])?;
    BENCH.run(arguments)
}

fn package() -> Result<(), String> {
    if !tools::can_package() {
        return Err("The package needs dpkg-shlibdeps: `apt install dpkg-dev`, then repeat.".to_owned());
    }
    let mut build = std::process::Command::new(cargo_deb::install(&target_folder()?)?);
    let build = build.args(["--package", "agent-host", "--locked"]).current_dir(step::ROOT);
    let status = build.status().map_err(|error| format!("Cannot start {build:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{build:?} failed ({status})")) }
}

/// Where cargo builds: this program is in `<target>/<profile>`.
fn target_folder() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| format!("Cannot tell where this program is: {error}"))?;
    let folder = program.parent().and_then(Path::parent).ok_or("This program is in no target folder")?;
    Ok(folder.to_owned())
}

/// Installs what a minimal toolchain lacks, and says so.
fn install_components() -> Result<(), String> {
    let missing: Vec<&str> = [("rustfmt", "fmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(_, subcommand)| !step::succeeds(&[subcommand, "--version"]))
        .map(|(component, _)| component)
        .collect();
    if missing.is_empty() {
        println!("The toolchain is complete; cargo fetches the crates of Cargo.lock.");
        return Ok(());
    }
    let missing = missing.join(" ");
    println!("The toolchain lacks {missing}: installing with `rustup component add {missing}`.");
    step::install(&missing).map_err(|problem| {
        format!("Cannot install {missing}: {problem}. Install it as your toolchain came (Debian: `apt install`), then repeat.")
    })
}

/// Runs the steps one after the other and tells how long each took.
fn run_all(steps: &[&Step]) -> Result<Vec<Duration>, String> {
    let timed = |(number, step): (usize, &&Step)| {
        println!("\n[{}/{}] {}: {}", number + 1, steps.len(), step.title, step.shown(&[]));
        let began = Instant::now();
        step.run(&[])?;
        println!("{} took {:.1} s.", step.title, began.elapsed().as_secs_f64());
        Ok(began.elapsed())
    };
    steps.iter().enumerate().map(timed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_one_command() {
        let cases: [(&[&str], Option<Command>); 9] = [
            (&["test"], Some(Command::Test)),
            (&["bench"], Some(Command::Bench(vec![]))),
            (&["bench", "--users", "5"], Some(Command::Bench(vec!["--users".into(), "5".into()]))),
            (&["package"], Some(Command::Package)),
            (&["--help"], Some(Command::Help)),
            (&["-h"], Some(Command::Help)),
            (&[], None),
            (&["test", "fast"], None),
            (&["tests"], None),
        ];
        for (arguments, expected) in cases {
            let given: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            assert_eq!(command(&given), expected, "{arguments:?}");
        }
    }

    #[test]
    fn the_programs_are_built_before_the_tests_that_start_them() {
        let titles = TEST.map(|step| step.title);
        assert_eq!(titles, ["Formatting", "Lints", "Programs", "Tests", "Default features", "Documentation"]);
    }
}
