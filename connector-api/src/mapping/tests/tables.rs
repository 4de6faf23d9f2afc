//! From elements to tables: which columns, in which order, under which names, and what is refused.

const USER: &str = "<EntityTypeMapping Identifier='User' ConnectionTable='Okta_users'>
    <Property Identifier='key' ConnectionColumn='id' IsPrimaryKey='1'/>
    <Property Identifier='login' ConnectionColumn='profile.login' IsUniqueKey='1'/>
  </EntityTypeMapping>";
const GROUP: &str = "<EntityTypeMapping Identifier='Group' ConnectionTable='okta_Groups'>
    <Property Identifier='key' ConnectionColumn='id' IsPrimaryKey='1'/></EntityTypeMapping>";

/// Compares the tables that are not as they are without a mapping, or the error.
fn check(xml: &str, expected: &[&str]) {
    let unmapped = super::tables("<ConfigurationFile/>").unwrap();
    let said = match super::tables(xml) {
        Ok(tables) => tables.into_iter().filter(|table| !unmapped.contains(table)).collect(),
        Err(error) => vec![format!("{error} ({})", error.hint().unwrap_or_default())],
    };
    assert_eq!(said, expected, "{xml}");
}

fn entity(table: &str, properties: &str) -> String {
    format!("<EntityTypeMapping Identifier='E' ConnectionTable='{table}'>{properties}</EntityTypeMapping>")
}

fn column(name: &str) -> String {
    format!("<Property Identifier='p' ConnectionColumn='{name}'/>")
}

fn primary(name: &str) -> String {
    format!("<Property Identifier='k' ConnectionColumn='{name}' IsPrimaryKey='1'/>")
}

fn association(table: &str, first: (&str, &str), second: (&str, &str)) -> String {
    let ((column1, property1), (column2, property2)) = (first, second);
    format!(
        "<EntityAssociationMapping Identifier='A' ConnectionTable='{table}' Column1='{column1}' Column2='{column2}' \
         EntityPropertyMapping1='{property1}' EntityPropertyMapping2='{property2}'/>"
    )
}

#[test]
fn without_a_mapping_all_tables_have_their_defaults() {
    assert_eq!(
        super::tables("<ConfigurationFile/>").unwrap(),
        [
            "users: id,status,created,activated,statusChanged,lastLogin,lastUpdated,passwordChanged,type.id [id]",
            "groups: id,created,lastUpdated,lastMembershipUpdated,type,profile.name [id]",
            "apps: id,created,lastUpdated,status,name,label [id]",
            "groupsusers: groupId,userId [groupId,userId]",
            "groupsapps: groupId,appId [groupId,appId]",
        ]
    );
}

#[test]
fn fields_come_in_the_systems_order_and_the_rest_in_the_mappings() {
    let columns = ["profile.z", "TYPE", "profile.a", "lastMemberShipUpdated", "profile.Z", "created"];
    let properties = columns.map(column).join("") + &primary("id");
    check(
        &entity("OKTA_groups", &properties),
        &["groups: id,created,lastMemberShipUpdated,TYPE,profile.z,profile.a [id]"],
    );
}

#[test]
fn columns_of_associations_come_last_and_keep_the_defaults() {
    let typed = association("Okta_users", ("id", "User:key"), ("type.id", "Type:key"));
    let managed = association("Okta_users", ("ID", "User:key"), ("profile.managerId", "User:key"));
    check(&(typed + &managed + USER), &["users: id,type.id,profile.login,profile.managerId [id]"]);
    check(
        &association("Okta_apps", ("id", "App:key"), ("kind", "Kind:key")),
        &["apps: id,created,lastUpdated,status,name,label,kind [id]"],
    );
}

#[test]
fn mappings_of_one_table_are_joined_and_other_connections_are_not_seen() {
    let other = entity("Other_nothing", &column("x"));
    let own = entity("Okta_users", &(primary("profile.site") + &column("id")));
    check(&format!("{other}{USER}{own}"), &["users: id,profile.login,profile.site [id]"]);
    check(&format!("{own}{USER}"), &["users: id,profile.site,profile.login [id]"]);
    check(&entity("Okta_users", &primary("Profile.Login")), &["users: Profile.Login [Profile.Login]"]);
}

#[test]
fn a_mapping_needs_one_primary_key() {
    check(
        &entity("Okta_users", &column("id")),
        &[
            "a.xml:1:1: the mapping of `E` has no primary key (write `IsPrimaryKey=\"true\"` on the property mapped to `id`)",
        ],
    );
    check(
        &entity("Okta_users", &(primary("id") + "\n" + &primary("login"))),
        &["a.xml:2:1: the mapping of `E` has a second primary key \
           (leave one `IsPrimaryKey`; others can be `IsUniqueKey`)"],
    );
    check(
        &entity("Okta_users", "<Property Identifier='k' IsPrimaryKey='1'/>"),
        &["a.xml:1:64: the primary key of `E` is mapped to no column (add the attribute `ConnectionColumn`)"],
    );
    check(
        &(entity("Okta_users", &primary("a")) + "\n" + &entity("Okta_users", &primary("b"))),
        &["a.xml:2:1: the key of `users` is `b` here and `a` in another mapping (use one key, best `id`)"],
    );
}

#[test]
fn a_table_that_does_not_exist_is_refused_with_those_that_do() {
    let known = "(write one of Okta_users, Okta_groups, Okta_apps, Okta_groupsusers, Okta_groupsapps)";
    for table in ["Okta_devices", "okta_group_users", "Okta"] {
        let expected = format!("a.xml:1:1: `{table}` names no table of the connection {known}");
        check(&entity(table, &primary("id")), &[&expected]);
        check(&association(table, ("a", "E:k"), ("b", "E:k")), &[&expected]);
    }
}

#[test]
fn associations_rename_the_columns_of_links_whatever_their_order() {
    let users = association("Okta_groupsusers", ("MemberId", "User:key"), ("value", "group:KEY"));
    check(
        &(users.clone() + USER + GROUP),
        &[
            "users: id,profile.login [id]",
            "groups: id [id]",
            "groupsusers: value=groupId,MemberId=userId [value,MemberId]",
        ],
    );
    let again = association("okta_GROUPSUSERS", ("VALUE", "Group:key"), ("userId", "User:key"));
    check(
        &(users + &again + USER + GROUP),
        &[
            "users: id,profile.login [id]",
            "groups: id [id]",
            "groupsusers: value=groupId,MemberId=userId,userId [value,MemberId]",
        ],
    );
}

#[test]
fn links_that_lead_to_no_property_are_told_by_the_columns_names() {
    check(
        "<EntityAssociationMapping Identifier='A' ConnectionTable='Okta_groupsapps' Column1='app' Column2='Group.Id'/>",
        &["groupsapps: Group.Id=groupId,app=appId [Group.Id,app]"],
    );
    let direct = entity("Okta_groupsapps", &(primary("group") + &column("APPID")));
    check(&direct, &["groupsapps: group=groupId,APPID=appId [group,APPID]"]);
    check(
        &entity("Okta_groupsapps", &(primary("group") + "\n" + &column("role"))),
        &["a.xml:2:1: `role` is no column of `groupsapps` (write one of groupId, appId)"],
    );
}

#[test]
fn links_that_cannot_be_filled_are_refused() {
    let refused = |first, second, mappings: &str, message: &str| {
        let message = format!("a.xml:1:1: {message}");
        check(&(association("Okta_groupsusers", first, second) + mappings), &[&message]);
    };
    let hint = "(let the column lead to the identity of groups or of users)";
    let both = USER.to_owned() + GROUP;
    let user = ("member", "User:key");
    refused(
        ("userId", "User:key"),
        ("groupId", "Group:key"),
        "",
        &format!(
            "the column `userId` cannot be filled: `User:key` belongs to no entity type that is mapped to `Okta` {hint}"
        ),
    );
    refused(
        ("value", "Team:key"),
        user,
        &both,
        &format!(
            "the column `value` cannot be filled: `Team:key` belongs to no entity type that is mapped to `Okta` {hint}"
        ),
    );
    refused(
        ("value", "Group:name"),
        user,
        &both,
        &format!("the column `value` cannot be filled: `Group:name` is mapped to no column {hint}"),
    );
    refused(
        ("value", "Group:key"),
        ("member", "User:login"),
        &both,
        &format!(
            "the column `member` cannot be filled: it leads to `profile.login` of `users`, but links hold `id` {hint}"
        ),
    );
    refused(
        ("value", "E:k"),
        user,
        &(both.clone() + &entity("Okta_apps", &primary("id"))),
        &format!("the column `value` cannot be filled: `groupsusers` has no link to `apps` {hint}"),
    );
    refused(
        user,
        ("other", "User:key"),
        &both,
        "both columns of `A` lead to one side (let them lead to groups and to users)",
    );
    refused(
        ("id", "Group:key"),
        ("ID", "User:key"),
        &both,
        "the column `ID` stands for both sides of the links (give each side a column of its own)",
    );
}
