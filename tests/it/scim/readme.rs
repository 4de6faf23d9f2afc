//! The five commands of the README, as they are printed there.

use std::{
    net::TcpListener,
    process::{Command, Stdio},
};

use acceptance::{program, watch};

const README: &str = include_str!("../../../README.md");

#[test]
fn the_commands_of_the_readme_lead_from_nothing_to_a_pushed_group() {
    let section = README.split_once("## Let Okta provision into the agent").expect("there is the section").1;
    let block = section.split_once("```sh\n").and_then(|(_, rest)| rest.split_once("```")).expect("commands").0;
    assert_eq!(block.lines().count(), 5, "from nothing to a pushed group in five commands:\n{block}");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free");
    let path = std::env::join_paths([
        program().parent().expect("it is in a folder"),
        "/usr/local/bin".as_ref(),
        "/usr/bin".as_ref(),
        "/bin".as_ref(),
    ]);
    let mut shell = Command::new("sh");
    // The address is not the printed one, since somebody else may listen there.
    shell.env_clear().env("PATH", path.expect("a path")).env("Web__Urls", format!("http://{free}"));
    shell.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The agent ends with the shell, whatever fails.
    let ended = shell.args(["-ec", &format!("trap 'kill $!; wait $!' EXIT\n{block}\necho; echo \"$AUTH\"")]).output();
    let ended = ended.expect("there is a shell");
    let (said, log) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{said}\n{log}");
    watch(said.lines().last().and_then(|line| line.rsplit('.').next()).expect("the token is printed"));
    for told in ["\"displayName\":\"Staff\"", "\"userName\":\"ada@example.com\"", "\"display\":\"Staff\""] {
        assert!(said.contains(told), "{told} in {said}\n{log}");
    }
}
