//! The organisation a sandbox starts with: so many users, groups and applications, the same every time.
//! With oddities there are statuses of all kinds, imported and empty groups, inactive applications, and values that
//! need care (quotes, commas, line breaks, letters of other scripts, numbers, booleans, arrays).

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::app::{App, Assignment};
use crate::group::{Group, Kind};
use crate::ids::Dice;
use crate::org::Org;
use crate::seed_file::SeedFile;
use crate::template;
use crate::user::{Status, User};

/// What to start with. Generated records come after those of a file.
#[derive(Clone, Debug)]
pub struct Seed {
    /// All users; the first is the administrator the token belongs to.
    pub users: u32,
    /// All groups, Everyone included.
    pub groups: u32,
    pub apps: u32,
    /// Members of each group but Everyone, which has all users.
    pub members_per_group: Members,
    /// Groups assigned to each application.
    pub groups_per_app: u32,
    /// False makes everything plain: all users ACTIVE, all groups writable, no odd values.
    pub oddities: bool,
    /// Another number, another organisation.
    pub random: u64,
    /// Records given one by one, see [`Seed::from_json`].
    pub file: Option<Arc<SeedFile>>,
}

/// How many members generated groups have (never more than there are users).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Members {
    /// Exactly so many in each group.
    Each(u32),
    /// Exactly so many memberships in all, spread evenly; Everyone's are not counted.
    Total(u64),
    /// About so many: some groups empty, some with four times as many.
    About(u32),
}

const FIRST_NAMES: [&str; 16] = [
    "Ada", "Zoë", "Jürgen", "Łukasz", "Søren", "Amélie", "Nguyễn", "José", "Ωmega", "明", "Grace", "Tom", "Ivy",
    "Noah", "Mia", "Łucja",
];
const LAST_NAMES: [&str; 16] = [
    "Lovelace",
    "O'Neil",
    "Müller",
    "Kowalski",
    "Håkansson",
    "Dupont",
    "Trần",
    "García",
    "Papadopoulos",
    "李",
    "Hopper",
    "Smith-Jones",
    "van der Berg",
    "D’Arcy",
    "Fürst",
    "Šimić",
];
const CITIES: [&str; 8] = ["Zürich", "Paris", "New York", "São Paulo", "Kraków", "Berlin", "東京", "Oslo"];
const DEPARTMENTS: [&str; 6] = ["Field Sales", "Finance", "IT", "Research, Development", "Human Resources", "Legal"];
const TEAMS: [&str; 6] = ["Readers", "Approvers", "Contractors", "Payroll", "Admins", "Auditors"];
const REMARKS: [&str; 6] = [
    r#""says \"hello\", twice""#,
    r#""first line\nsecond line\r\nthird""#,
    r#""a;b,c\td|e""#,
    r#"" leading and trailing ""#,
    r#""=1+1""#,
    r#""""#,
];

/// 2020-01-01, and about five years of users after it.
const START: i64 = 1_577_836_800_000;
const SPAN: i64 = 5 * 365 * 86_400;

impl Default for Seed {
    fn default() -> Self {
        Self {
            users: 25,
            groups: 8,
            apps: 4,
            members_per_group: Members::About(5),
            groups_per_app: 2,
            oddities: true,
            random: 1,
            file: None,
        }
    }
}

impl Seed {
    /// Nothing but Everyone.
    pub fn empty() -> Self {
        Self { users: 0, groups: 0, apps: 0, ..Self::default() }
    }

    /// Exact and plain: every user ACTIVE, every group but Everyone with the same number of members.
    pub fn exact(users: u32, groups: u32, apps: u32, members_per_group: u32) -> Self {
        let members_per_group = Members::Each(members_per_group);
        Self { users, groups, apps, members_per_group, oddities: false, ..Self::default() }
    }

    /// Records given one by one; the README of this crate shows the form.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { file: Some(Arc::new(serde_json::from_str(text)?)), ..Self::empty() })
    }

    pub(crate) fn plant(&self, org: &mut Org) -> Result<(), String> {
        org.reserve(self.users as usize);
        describe(org);
        if let Some(file) = &self.file {
            file.plant(org)?;
        }
        let mut dice = Dice::new(self.random);
        let first = u32::try_from(org.users.len()).unwrap_or(u32::MAX);
        for number in 0..self.users {
            self.plant_user(org, number, &mut dice);
        }
        self.plant_groups(org, first, &mut dice);
        self.plant_apps(org, &mut dice);
        Ok(())
    }

    fn plant_user(&self, org: &mut Org, number: u32, dice: &mut Dice) {
        let id = org.ids.next("00u");
        let step = SPAN / i64::from(self.users.max(1));
        let created = START + i64::from(number) * step * 1000;
        let status = if number > 0 && self.oddities { status(number) } else { Status::Active };
        let mut user = User::new(&id, status, Arc::clone(&org.default_type), created);
        let later = |dice: &mut Dice, most: u32| created + i64::from(dice.below(most)) * 1000;
        user.last_updated = later(dice, 4_000_000);
        user.status_changed = Some(later(dice, 1_000_000));
        // The first administrator was never activated by anybody (recorded).
        if status != Status::Staged && number > 0 {
            user.activated = Some(later(dice, 100_000));
        }
        if !matches!(status, Status::Staged | Status::Provisioned) {
            user.password = Some(dice.roll());
            user.password_changed = Some(later(dice, 3_000_000));
            user.last_login = (dice.below(5) > 0).then(|| later(dice, 9_000_000));
        }
        let profile = self.profile(number, dice);
        user.write(&org.base, &profile);
        org.insert_user(user, created);
        if let Some(user) = org.users.row(&id).and_then(|row| org.users.get_mut(row)) {
            user.earlier = None;
        }
    }

    fn profile(&self, number: u32, dice: &mut Dice) -> String {
        let (first, last) = match number {
            0 => ("Admin", "User"),
            _ => (dice.pick(&FIRST_NAMES), dice.pick(&LAST_NAMES)),
        };
        let login = if number == 0 { "admin@example.com".to_owned() } else { format!("user{number:07}@example.com") };
        let mut out = String::with_capacity(480);
        let _ = write!(
            out,
            r#"{{"firstName":"{first}","lastName":"{last}","mobilePhone":null,"city":"{}","displayName":"{first} {last}","department":"{}","employeeNumber":"{number:07}","secondEmail":null,"login":"{login}","email":"{login}""#,
            dice.pick(&CITIES),
            dice.pick(&DEPARTMENTS),
        );
        if self.oddities && number > 0 {
            let _ = write!(
                out,
                r#","badgeNumber":"B{number:05}","seniority":{},"allowance":{}.{:02},"contractor":{},"skills":["{}","a, \"b\"","ü"]"#,
                number % 40,
                dice.below(9000),
                dice.below(100),
                number.is_multiple_of(3),
                dice.pick(&TEAMS),
            );
            if number % 4 == 1 {
                let _ = write!(out, r#","costCodes":[{},{}],"remark":{}"#, number, number + 7, dice.pick(&REMARKS));
            }
        }
        out.push('}');
        out
    }

    fn plant_groups(&self, org: &mut Org, first_user: u32, dice: &mut Dice) {
        let count = self.groups.saturating_sub(1);
        for number in 0..count {
            let id = org.ids.next("00g");
            let created = START + i64::from(number) * 60_000;
            let kind = match number {
                0 if self.oddities && count > 2 => Kind::BuiltIn,
                n if self.oddities && n % 7 == 6 => Kind::App,
                _ => Kind::Okta,
            };
            let name = match kind {
                Kind::BuiltIn => "Okta Administrators".to_owned(),
                _ if self.oddities && number % 11 == 5 => {
                    format!("Team {number:05}: \\\"{}\\\", ok", dice.pick(&TEAMS))
                }
                _ => format!("Team {number:05} {}", dice.pick(&TEAMS)),
            };
            let described = if self.oddities && number.is_multiple_of(3) {
                "null".to_owned()
            } else {
                format!("\"Made for {name}\"")
            };
            let profile = format!("{{\"name\":\"{name}\",\"description\":{described}}}");
            let mut group = Group::new(&id, kind, profile, created);
            group.members = spread(first_user, self.users, self.size(number, count, dice), dice);
            group.touch_membership(created + i64::from(dice.below(90_000_000)) * 1000);
            org.groups.insert(&id, group);
        }
    }

    fn size(&self, number: u32, groups: u32, dice: &mut Dice) -> u32 {
        match self.members_per_group {
            Members::Each(size) => size,
            Members::Total(total) => {
                let (groups, number) = (u64::from(groups.max(1)), u64::from(number));
                u32::try_from(total / groups + u64::from(number < total % groups)).unwrap_or(u32::MAX)
            }
            Members::About(size) => match number % 8 {
                3 => 0,
                5 => size.saturating_mul(4),
                _ => size / 2 + dice.below(size.max(1)),
            },
        }
    }

    fn plant_apps(&self, org: &mut Org, dice: &mut Dice) {
        let groups = u32::try_from(org.groups.len()).unwrap_or(u32::MAX);
        for number in 0..self.apps {
            let request = app_request(number);
            let Ok(body) = template::body(&request, None, &mut org.ids) else { continue };
            let id = org.ids.next("0oa");
            let created = START + i64::from(number) * 3_600_000;
            let mut app = App::new(&id, body, !self.oddities || number % 9 != 4, created);
            let row = u32::try_from(org.apps.len()).unwrap_or(u32::MAX);
            let chosen = spread(0, groups, self.groups_per_app, dice);
            for (at, group) in chosen.into_iter().enumerate() {
                let priority = at as i64 * if self.oddities && number % 5 == 2 { 3 } else { 1 };
                app.groups.push(Assignment { group, priority, profile: "{}".to_owned(), last_updated: created });
                if let Some(record) = org.groups.get_mut(group) {
                    record.apps.push(row);
                }
            }
            app.hide_secret();
            app.write(&org.base, &org.id);
            org.apps.insert(&id, app);
        }
        let sources: Vec<Box<str>> = org.apps.iter().map(|app| app.id.clone()).collect();
        let imported = org.groups.iter_mut().filter(|group| group.kind == Kind::App && group.source.is_none());
        for (group, source) in imported.zip(sources.iter().cycle()) {
            group.source = Some(source.clone());
        }
    }
}

/// The custom attributes every generated organisation has.
fn describe(org: &mut Org) {
    let attribute = |title: &str, kind: &str| {
        json!({"title": title, "type": kind, "mutability": "READ_WRITE", "scope": "NONE",
            "permissions": [{"principal": "SELF", "action": "READ_ONLY"}]})
    };
    let mut custom = Map::new();
    for (name, title, kind) in [
        ("badgeNumber", "Badge number", "string"),
        ("seniority", "Seniority", "integer"),
        ("allowance", "Allowance", "number"),
        ("contractor", "Contractor", "boolean"),
        ("remark", "Remark", "string"),
    ] {
        custom.insert(name.to_owned(), attribute(title, kind));
    }
    for (name, title, of) in [("skills", "Skills", "string"), ("costCodes", "Cost codes", "integer")] {
        let mut array = attribute(title, "array");
        array["items"] = json!({"type": of});
        custom.insert(name.to_owned(), array);
    }
    org.schemas.types[0].custom = custom;
    let mut of_group = attribute("Custom Group Attribute", "string");
    of_group["master"] = json!({"type": "PROFILE_MASTER"});
    org.schemas.group_custom.insert("customGroupAttribute".to_owned(), of_group);
}

fn status(number: u32) -> Status {
    match (number * 37 + 11) % 100 {
        88..=91 | 99 => Status::Deprovisioned,
        92 | 93 => Status::Suspended,
        94 => Status::Staged,
        95 => Status::Provisioned,
        96 => Status::LockedOut,
        97 => Status::PasswordExpired,
        98 => Status::Recovery,
        _ => Status::Active,
    }
}

fn app_request(number: u32) -> Map<String, Value> {
    let label = format!("Application {number:04}");
    let request = match number % 4 {
        0 => json!({"name": "bookmark", "label": label, "settings": {"app": {"url": "https://example.com/bookmark"}}}),
        1 => json!({"name": "oidc_client", "label": label, "signOnMode": "OPENID_CONNECT"}),
        2 => json!({"name": "zoomus", "label": label, "signOnMode": "SAML_2_0"}),
        _ => json!({"name": "template_swa", "label": label, "settings": {"app": {"url": "https://example.com/login"}}}),
    };
    request.as_object().cloned().unwrap_or_default()
}

/// `size` different rows out of `count`, ascending, evenly apart.
fn spread(first: u32, count: u32, size: u32, dice: &mut Dice) -> Vec<u32> {
    let size = size.min(count);
    if size == 0 {
        return Vec::new();
    }
    let apart = count / size;
    let offset = dice.below(count - apart * (size - 1));
    (0..size).map(|n| first + offset + n * apart).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn planted(seed: &Seed) -> Org {
        let mut org = Org::new("http://o", 0, seed.random, Clock::manual(0));
        seed.plant(&mut org).unwrap();
        org
    }

    #[test]
    fn counts_are_exact_and_the_text_is_json() {
        let org = planted(&Seed { members_per_group: Members::Total(1000), ..Seed::exact(300, 11, 7, 0) });
        let counts = org.counts();
        assert_eq!((counts.users, counts.groups, counts.apps), (300, 11, 7));
        assert_eq!((counts.memberships, counts.assignments), (300 + 1000, 14));
        let odd = planted(&Seed { users: 120, groups: 30, ..Seed::default() });
        for user in odd.users.iter() {
            let value: Value = serde_json::from_str(user.item()).unwrap();
            crate::profile::check(value["profile"].as_object().unwrap(), &odd.schemas.types[0]).unwrap();
        }
        assert!(odd.users.iter().any(|user| user.status == Status::Deprovisioned));
        for group in odd.groups.iter() {
            serde_json::from_str::<Value>(&group.profile).unwrap();
            assert!(group.members.is_sorted());
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_organisation() {
        let (one, two) = (planted(&Seed::default()), planted(&Seed::default()));
        assert!(one.users.iter().map(User::item).eq(two.users.iter().map(User::item)));
    }
}
