//! The sample orders, with keys that an organisation has put in the place of theirs.

use std::fs;

use acceptance::TestAgent;
use okta_sandbox::Seed;
use serde_json::Value;

#[test]
fn the_sample_orders_are_planned_and_carried_out() {
    let agent = TestAgent::seeded(Seed::exact(12, 4, 2, 2));
    let path = agent.directory().join("Orders/orders.json");
    let mut text = fs::read_to_string(&path).unwrap();
    let (users, app) = agent.org(|org| (org.user_ids(), org.app_ids().remove(0)));
    let groups: Vec<String> = agent.org(|org| (0..3).map(|number| org.add_group(&format!("G{number}"))).collect());
    for (number, (user, group)) in users.iter().skip(1).zip(&groups).enumerate() {
        text = text.replace(&format!("00uEXAMPLEuser00000{}", number + 1), user);
        text = text.replace(&format!("00gEXAMPLEgroup0000{}", number + 1), group);
    }
    text = text.replace("0oaEXAMPLEapp0000001", &app);
    assert!(!text.contains("EXAMPLE"), "{text}");
    fs::write(&path, text).unwrap();
    let named = path.to_str().unwrap();
    let plan = agent.fulfill(&["--orders", named, "--plan", "--format", "json"]).must_exit(0).json();
    let planned = plan["orders"].as_array().unwrap();
    let refused: Vec<&Value> = planned.iter().filter(|order| order["effect"] == "refused").collect();
    assert!(planned.len() == 8 && refused.is_empty(), "{refused:?}");
    let report = agent.fulfill(&["--orders", named, "--format", "json"]).must_exit(0).json();
    assert_eq!((&report["executed"], &report["errored"]), (&8.into(), &0.into()), "{report}");
}
