//! What files say, what is odd about them, and where what is refused stands.

use secrecy::ExposeSecret;

use super::*;
use crate::{
    ErrorKind,
    mapping::{Deactivation, PasswordResetMode, PropertyType},
};

/// Reads `a.xml` and compares: the warnings, one a line, or the error.
fn check(xml: &str, expected: &str) {
    let said = match read(&[("a.xml", xml)]) {
        Ok((_, warnings)) => warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Settings);
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error} has no hint");
            error.to_string()
        }
    };
    assert_eq!(said, expected, "{xml}");
}

pub(super) const WHOLE: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<ConfigurationFile xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="urn:schemas-usercube-com:configuration">
  <!-- The connector. -->
  <Connector Identifier="Sales" DisplayName_L1="Sales" Agent="Local" MaximumDeletedLines="10" IsDeactivated="1" />
  <Connection Identifier="Okta" Connector="Sales" DisplayName_L1="Okta" Package="Usercube.Okta@0000001"
              DeactivationExportFulfill="Fulfill" />
  <EntityType Identifier="Person" DisplayName_L1="Person">
    <Property Identifier="okta_id" IsKey="True" TargetColumnIndex="4" Type="String" />
    <Property Identifier="Teams" Type="12" />
  </EntityType>
  <EntityType Identifier="Team">
    <Property Identifier="okta_id" IsKey="true" />
    <Property Identifier="Members" Type="foreignkey" />
  </EntityType>
  <EntityTypeMapping Identifier="Person" Connector="Sales" ConnectionTable="Okta_users">
    <Property Identifier="okta_id" ConnectionColumn=" id " IsPrimaryKey="1" IsUniqueKey="0" />
    <Property Identifier="Teams" />
  </EntityTypeMapping>
  <EntityTypeMapping Identifier="Team" Connector="sales" ConnectionTable="Okta_groups">
    <Property Identifier="okta_id" ConnectionColumn="id" IsPrimaryKey="true" />
  </EntityTypeMapping>
  <EntityAssociation Identifier="Team_Person" DisplayName_L1="Members" Property1="Team:Members" Property2="Person:Teams"
                     IsProperty1Collection="true" IsProperty2Collection="true" />
  <EntityAssociationMapping Identifier="Team_Person" Connector="Sales" ConnectionTable="Okta_groupsusers"
      Column1="team" EntityPropertyMapping1="Team:okta_id" Column2="member" EntityPropertyMapping2="Person:okta_id" />
  <OktaResourceTypeMapping Identifier="Person_Account" Connection="Okta" DefaultObjectClass="users"
                           PasswordResetSetting="Mailed" />
  <PasswordResetSettings Identifier="Mailed" Mode="1" AutoGenerate="true" DefaultPassword="p&amp;ss &lt;1&gt;"
                         GeneratedLength="20" StrengthCheck="'^..*$', '^.*[0-9],.*$'" NotificationCC="it@example.com" />
</ConfigurationFile>
"#;

#[test]
fn a_whole_configuration_is_read_without_a_warning() {
    for line_end in ["\n", "\r\n"] {
        let (mapping, warnings) = read(&[("a.xml", &WHOLE.replace('\n', line_end))]).unwrap();
        assert_eq!(warnings, []);
        assert_eq!(mapping.connections[0].deactivation, Deactivation::Fulfill);
        assert_eq!(mapping.connections[0].package.as_deref(), Some("Usercube.Okta@0000001"));
        assert!(mapping.connectors[0].is_deactivated);
        assert!(mapping.entity_types[0].properties[0].is_key);
        assert_eq!(mapping.entity_types[0].properties[1].property_type, PropertyType::ForeignKey);
        assert_eq!(mapping.entity_type_mappings[0].properties[0].connection_column.as_deref(), Some("id"));
        assert_eq!(mapping.entity_type_mappings[0].properties[1].connection_column, None);
        assert_eq!(mapping.associations[0].sides[1].property.to_string(), "`Person:Teams`");
        assert_eq!(mapping.association_mappings[0].columns[0].name, "team");
        assert_eq!(mapping.resource_type_mappings[0].default_object_class.as_deref(), Some("users"));
        assert_eq!(mapping.association_mappings[0].position.to_string(), "a.xml:24:3");
    }
}

#[test]
fn password_reset_settings_have_the_vendors_defaults_and_hide_the_password() {
    let (mapping, _) = read(&[("a.xml", WHOLE)]).unwrap();
    let settings = &mapping.password_reset_settings[0];
    assert_eq!(settings.mode, PasswordResetMode::OneWay);
    assert_eq!(settings.default_password.as_ref().unwrap().expose_secret(), "p&ss <1>");
    assert_eq!((settings.generated_length, settings.generated_lower_case_chars_count), (20, 6));
    assert_eq!((settings.generated_digit_chars_count, settings.generated_symbol_chars_count), (2, 2));
    assert_eq!(settings.strength_check, ["^..*$", "^.*[0-9],.*$"]);
    assert!(settings.auto_generate && !settings.must_change && !settings.disable_notifications);
    assert!(!format!("{mapping:?}").contains("ss <1>"));
}

#[test]
fn encodings_are_told_by_their_first_bytes() {
    let xml = "<Connection Identifier='ÖktÄ𝄞' /><";
    let utf16 = |unit: fn(u16) -> [u8; 2]| format!("\u{feff}{xml}").encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let unmarked: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = format!("\u{feff}{xml}").into_bytes();
    for bytes in [xml.as_bytes().to_vec(), marked, utf16(u16::to_le_bytes), utf16(u16::to_be_bytes), unmarked] {
        for capacity in [1, 3, 8192] {
            let source = std::io::BufReader::with_capacity(capacity, &bytes[..]);
            let error = Mapping::reader().read("a.xml", source).unwrap_err();
            assert!(error.to_string().starts_with("a.xml:1:34: tag not closed"), "{error}");
        }
    }
    let mut reader = Mapping::reader();
    let error = reader.read("a.xml", &b"<a>\xe9</a>"[..]).unwrap_err();
    assert_eq!(error.to_string(), "a.xml:1:4: what begins here is not UTF-8");
    let error = reader.read("a.xml", &b"\xff\xfe<\0\0\xd8a\0"[..]).unwrap_err();
    assert_eq!(error.to_string(), "a.xml:1:1: the file cannot be read: it is no valid UTF-16");
}

#[test]
fn what_is_no_sound_xml_is_refused_with_its_position() {
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>"#;
    check(bomb, "a.xml:1:1: document type definitions are refused");
    check("\n <!DOCTYPE x SYSTEM 'file:///etc/passwd'>", "a.xml:2:2: document type definitions are refused");
    check("<x>é&xxe;</x>", "a.xml:1:5: the entity `xxe` is not defined");
    check("<x>&lt;&#65;&#x42;</x>", "a.xml:1:1: `x` is no part of the mapping and is left out");
    check(
        "<Connector\r\n Identifier='é' B='&xxe;'/>",
        "a.xml:2:17: the value of `B` has a `&` that begins no known entity",
    );
    check("<Connector A='1'\n\tB='2' A='3'/>", "a.xml:2:8: the tag has this attribute twice");
    check("<Connector A=1/>", "a.xml:1:14: an attribute's value is not in quotes");
    check("<Connector A/>", "a.xml:1:13: `=` is missing behind an attribute's name");
    check("<a><b></a>", "a.xml:1:7: `a` ends here, but `b` is open");
    check("<a/></a>", "a.xml:1:5: `a` ends here, but it is not open");
    check("<a>\n <b>", "a.xml:2:2: the file ends before the element that begins here does");
    check("\n<Connector ", "a.xml:2:1: tag not closed: `>` not found before end of input");
    check("<!-- ", "a.xml:1:1: comment not closed: `-->` not found before end of input");
    check(
        "<?xml version='1.0' encoding='windows-1252'?><a/>",
        "a.xml:1:1: the encoding `windows-1252` is not supported",
    );
}

#[test]
fn what_cannot_be_obeyed_is_refused_with_its_position() {
    check("<Connection\n/>", "a.xml:1:1: `Connection` has no `Identifier`");
    check("<Connection Identifier=' '/>", "a.xml:1:1: `Connection` has no `Identifier`");
    check(
        "<Connection Identifier='a' DeactivationExportFulfill='Both'/>",
        "a.xml:1:28: `DeactivationExportFulfill` of `Connection` cannot be `Both`",
    );
    check("<EntityTypeMapping Identifier='a'/>", "a.xml:1:1: `EntityTypeMapping` has no `ConnectionTable`");
    check(
        "<EntityTypeMapping Identifier='a' ConnectionTable='b_c'>\n<Property\n Identifier='c' IsPrimaryKey='yes'/>\
         </EntityTypeMapping>",
        "a.xml:3:17: `IsPrimaryKey` of `Property` cannot be `yes`",
    );
    check(
        "<EntityType Identifier='a'><Property Identifier='b' Type='11'/></EntityType>",
        "a.xml:1:53: `Type` of `Property` cannot be `11`",
    );
    check(
        "<EntityType Identifier='a'><Property TargetColumnIndex='x'/></EntityType>",
        "a.xml:1:38: `TargetColumnIndex` of `Property` cannot be `x`",
    );
    check(
        "<EntityAssociation Identifier='a' Property1='b'/>",
        "a.xml:1:35: `Property1` of `EntityAssociation` cannot be `b`",
    );
    check("<EntityAssociation Identifier='a'/>", "a.xml:1:1: `EntityAssociation` has no `Property1`");
    check(
        "<EntityAssociationMapping Identifier='a' ConnectionTable='b_c' Column1='d'/>",
        "a.xml:1:1: `EntityAssociationMapping` has no `Column2`",
    );
    check("<OktaResourceTypeMapping Identifier='a'/>", "a.xml:1:1: `OktaResourceTypeMapping` has no `Connection`");
    check(
        "<PasswordResetSettings Identifier='a' Mode='3'/>",
        "a.xml:1:39: `Mode` of `PasswordResetSettings` cannot be `3`",
    );
    check(
        "<PasswordResetSettings Identifier='a' GeneratedLength='4000000000'/>",
        "a.xml:1:39: `GeneratedLength` of `PasswordResetSettings` cannot be `4000000000`",
    );
}

#[test]
fn the_symbols_of_generated_passwords_are_kept_as_written() {
    let (mapping, _) = read(&[("a.xml", "<PasswordGenerationSetting AllowedSymbolChars=' !;.?&amp; '/>")]).unwrap();
    assert_eq!(mapping.allowed_symbol_chars.unwrap().characters, "!;.?&");
}

#[test]
fn no_message_repeats_a_default_password() {
    check(
        "<PasswordResetSettings Identifier='a' DefaultPassword='s&cret;'/>",
        "a.xml:1:39: the value of `DefaultPassword` has a `&` that begins no known entity",
    );
    check(
        "<PasswordResetSettings Identifier='a' defaultPassword='secret'/>",
        "a.xml:1:39: the attribute `defaultPassword` of `PasswordResetSettings` has no effect here",
    );
}

#[test]
fn what_is_unknown_is_kept_out_with_one_warning_a_name() {
    check("<ConfigurationFile/>", "");
    for nothing in ["", " \n", "hello"] {
        let (found, expected) = (read(&[("a.xml", nothing)]), "a.xml:1:1: the file holds no XML element");
        assert_eq!(found.unwrap_err().to_string(), expected, "{nothing}");
    }
    check(
        "<ConfigurationFile>\n<Job A='1'><Connection/>text</Job><Job/><Agent/>\n</ConfigurationFile>",
        "a.xml:2:1: `Job` is no part of the mapping and is left out\n\
         a.xml:2:41: `Agent` is no part of the mapping and is left out",
    );
    check(
        "<Connector Identifier='a' Foo='1'>\n<Foo/></Connector><Connector Identifier='b' Foo='2'/>",
        "a.xml:2:1: `Foo` is no part of the mapping and is left out\n\
         a.xml:1:27: the attribute `Foo` of `Connector` has no effect here",
    );
    check(
        "<u:Connector xmlns:u='urn:x' u:Identifier='b' Identifier='a'/> …. &amp; <![CDATA[x]]>",
        "a.xml:1:64: text outside of attributes means nothing and is left out",
    );
}

#[test]
fn contradictions_load_with_a_warning() {
    check(
        "<Connection Identifier='AD_Export' Connector='AD'/>",
        "a.xml:1:1: `AD_Export` is no connection identifier: a letter first, then letters, digits, `.` and `-`; \
         `_` separates connection and table\n\
         a.xml:1:1: the connector `AD` is not declared",
    );
    check(
        "<Connector Identifier='a'/>\n<Connector Identifier='A'/>",
        "a.xml:2:1: `A` is declared a second time: the first counts",
    );
    check(
        "<EntityType Identifier='a'><Property Identifier='b' TargetColumnIndex='200'/></EntityType>",
        "a.xml:1:28: `TargetColumnIndex` is 200, but columns are numbered -1 to 152\n\
         a.xml:1:1: no property of the entity type `a` has `IsKey`",
    );
    check(
        "<EntityTypeMapping Identifier='a' ConnectionTable='AD_Export_users'/>",
        "a.xml:1:1: `AD_Export_users` is read as the table `Export_users` of `AD`: the first `_` separates them, \
         so that no connection identifier can hold one\n\
         a.xml:1:1: the entity type `a` is not declared",
    );
    check(
        "<Connection Identifier='Okta'/><EntityAssociationMapping Identifier='a' ConnectionTable='Okto_users' \
         Column1='id' Column2='type.id' EntityPropertyMapping1='User:id'/>",
        "a.xml:1:32: the connection `Okto` is not declared\n\
         a.xml:1:32: the association `a` is not declared\n\
         a.xml:1:32: `User:id` is not mapped",
    );
    check(
        "<OktaResourceTypeMapping Identifier='a' Connection='Okta' PasswordResetSetting='b'/>",
        "a.xml:1:1: the password reset settings `b` are not declared",
    );
}

#[test]
fn files_are_checked_together_and_named_in_messages() {
    let declaration = "<EntityType Identifier='User'><Property Identifier='id' IsKey='1'/></EntityType>";
    let mapping = "<EntityTypeMapping Identifier='user' ConnectionTable='Okta_users' Connector='B'>\
                   <Property Identifier='ID' ConnectionColumn='id' IsPrimaryKey='1'/></EntityTypeMapping>";
    let (_, warnings) = read(&[("Conf/1.xml", mapping), ("Conf/2.xml", declaration)]).unwrap();
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["Conf/1.xml:1:1: the connector `B` is not declared"]);
}
