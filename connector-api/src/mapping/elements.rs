//! What each element of the XML means: its attributes become the fields of a type of [`mapping`](super).
//!
//! An attribute that is asked for is taken out of the element, so that what stays behind is unknown. Values are
//! trimmed; choices and booleans ignore case. No message repeats a `DefaultPassword`.
//! Source: the vendor's reference of the XML configuration, one page an element, for the names and the defaults.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr};

use secrecy::SecretString;

use super::{
    AllowedSymbols, AssociationColumn, AssociationSide, Connection, ConnectorDeclaration, Deactivation,
    EntityAssociation, EntityAssociationMapping, EntityType, EntityTypeMapping, OktaResourceTypeMapping,
    PasswordResetMode, PasswordResetSettings, Property, PropertyMapping, PropertyReference, PropertyType, quoted,
    read::Warnings,
    xml::{Attribute, Element},
};
use crate::error::{Error, Result};

/// The most characters that a password may be asked to have.
const MAX_PASSWORD: u32 = 1024;

pub(super) fn connection(element: &mut Element) -> Result<Connection> {
    let deactivations = [
        ("0", Deactivation::None),
        ("None", Deactivation::None),
        ("1", Deactivation::Export),
        ("Export", Deactivation::Export),
        ("2", Deactivation::Fulfill),
        ("Fulfill", Deactivation::Fulfill),
    ];
    Ok(Connection {
        identifier: element.required("Identifier")?,
        connector: element.text("Connector"),
        package: element.text("Package"),
        deactivation: element.choice("DeactivationExportFulfill", Deactivation::None, &deactivations)?,
        position: element.position.clone(),
    })
}

pub(super) fn connector(element: &mut Element) -> Result<ConnectorDeclaration> {
    Ok(ConnectorDeclaration {
        identifier: element.required("Identifier")?,
        is_deactivated: element.flag("IsDeactivated")?,
        position: element.position.clone(),
    })
}

pub(super) fn entity_type(
    element: &mut Element,
    properties: &mut [Element],
    warnings: &mut Warnings,
) -> Result<EntityType> {
    let properties = properties.iter_mut().map(|property| self::property(property, warnings));
    Ok(EntityType {
        identifier: element.required("Identifier")?,
        properties: properties.collect::<Result<_>>()?,
        position: element.position.clone(),
    })
}

fn property(element: &mut Element, warnings: &mut Warnings) -> Result<Property> {
    const TYPES: [(&str, &str, PropertyType); 12] = [
        ("0", "String", PropertyType::String),
        ("1", "Bytes", PropertyType::Bytes),
        ("2", "Int32", PropertyType::Int32),
        ("3", "Int64", PropertyType::Int64),
        ("4", "DateTime", PropertyType::DateTime),
        ("5", "Bool", PropertyType::Bool),
        ("6", "Guid", PropertyType::Guid),
        ("7", "Double", PropertyType::Double),
        ("8", "Binary", PropertyType::Binary),
        ("9", "Byte", PropertyType::Byte),
        ("10", "Int16", PropertyType::Int16),
        ("12", "ForeignKey", PropertyType::ForeignKey),
    ];
    let types = TYPES.map(|(number, _, meaning)| (number, meaning)).into_iter();
    let types: Vec<_> = types.chain(TYPES.map(|(_, name, meaning)| (name, meaning))).collect();
    let column = element.number("TargetColumnIndex", -1, i32::MIN..=i32::MAX)?;
    if !(-1..=152).contains(&column) {
        warnings
            .push(&element.position, format!("`TargetColumnIndex` is {column}, but columns are numbered -1 to 152"));
    }
    Ok(Property {
        identifier: element.required("Identifier")?,
        property_type: element.choice("Type", PropertyType::String, &types)?,
        is_key: element.flag("IsKey")?,
        position: element.position.clone(),
    })
}

pub(super) fn entity_type_mapping(element: &mut Element, properties: &mut [Element]) -> Result<EntityTypeMapping> {
    Ok(EntityTypeMapping {
        identifier: element.required("Identifier")?,
        connector: element.text("Connector"),
        connection_table: element.required("ConnectionTable")?,
        properties: properties.iter_mut().map(property_mapping).collect::<Result<_>>()?,
        position: element.position.clone(),
    })
}

fn property_mapping(element: &mut Element) -> Result<PropertyMapping> {
    Ok(PropertyMapping {
        identifier: element.required("Identifier")?,
        connection_column: element.text("ConnectionColumn"),
        is_primary_key: element.flag("IsPrimaryKey")?,
        is_unique_key: element.flag("IsUniqueKey")?,
        position: element.position.clone(),
    })
}

pub(super) fn association(element: &mut Element) -> Result<EntityAssociation> {
    let mut side = |property: &str, is_collection: &str| {
        Ok(AssociationSide {
            property: element.reference(property)?.ok_or_else(|| element.lacks(property))?,
            is_collection: element.flag(is_collection)?,
        })
    };
    Ok(EntityAssociation {
        sides: [side("Property1", "IsProperty1Collection")?, side("Property2", "IsProperty2Collection")?],
        identifier: element.required("Identifier")?,
        position: element.position.clone(),
    })
}

pub(super) fn association_mapping(element: &mut Element) -> Result<EntityAssociationMapping> {
    let mut column = |column: &str, property: &str| {
        Ok(AssociationColumn { name: element.required(column)?, property: element.reference(property)? })
    };
    Ok(EntityAssociationMapping {
        columns: [column("Column1", "EntityPropertyMapping1")?, column("Column2", "EntityPropertyMapping2")?],
        identifier: element.required("Identifier")?,
        connector: element.text("Connector"),
        connection_table: element.required("ConnectionTable")?,
        position: element.position.clone(),
    })
}

pub(super) fn resource_type_mapping(element: &mut Element) -> Result<OktaResourceTypeMapping> {
    Ok(OktaResourceTypeMapping {
        identifier: element.required("Identifier")?,
        connection: element.required("Connection")?,
        default_object_class: element.text("DefaultObjectClass"),
        password_reset_setting: element.text("PasswordResetSetting"),
        position: element.position.clone(),
    })
}

pub(super) fn password_reset_settings(element: &mut Element) -> Result<PasswordResetSettings> {
    let modes = [
        ("0", PasswordResetMode::Disabled),
        ("Disabled", PasswordResetMode::Disabled),
        ("1", PasswordResetMode::OneWay),
        ("OneWay", PasswordResetMode::OneWay),
        ("One-Way", PasswordResetMode::OneWay),
        ("2", PasswordResetMode::TwoWay),
        ("TwoWay", PasswordResetMode::TwoWay),
        ("Two-Way", PasswordResetMode::TwoWay),
    ];
    Ok(PasswordResetSettings {
        identifier: element.required("Identifier")?,
        mode: element.choice("Mode", PasswordResetMode::Disabled, &modes)?,
        auto_generate: element.flag("AutoGenerate")?,
        default_password: element.take("DefaultPassword").map(|attribute| SecretString::from(attribute.value)),
        generated_length: element.number("GeneratedLength", 12, 0..=MAX_PASSWORD)?,
        generated_lower_case_chars_count: element.number("GeneratedLowerCaseCharsCount", 6, 0..=MAX_PASSWORD)?,
        generated_upper_case_chars_count: element.number("GeneratedUpperCaseCharsCount", 2, 0..=MAX_PASSWORD)?,
        generated_digit_chars_count: element.number("GeneratedDigitCharsCount", 2, 0..=MAX_PASSWORD)?,
        generated_symbol_chars_count: element.number("GeneratedSymbolCharsCount", 2, 0..=MAX_PASSWORD)?,
        strength_check: element.text("StrengthCheck").map(|list| expressions(&list)).unwrap_or_default(),
        must_change: element.flag("MustChange")?,
        disable_notifications: element.flag("DisableNotifications")?,
        notification_cc: element.text("NotificationCC"),
        notified_email_binding: element.text("NotifiedEmailBinding"),
        notified_full_name_binding: element.text("NotifiedFullNameBinding"),
        beneficiary_email_binding: element.text("BeneficiaryEmailBinding"),
        beneficiary_full_name_binding: element.text("BeneficiaryFullNameBinding"),
        position: element.position.clone(),
    })
}

/// The symbols as they are written: white space is none of them.
pub(super) fn password_generation_setting(element: &mut Element) -> Result<AllowedSymbols> {
    let characters = element.required("AllowedSymbolChars")?;
    Ok(AllowedSymbols { characters, position: element.position.clone() })
}

/// The expressions of `'…','…'`; text that is not of this form is one expression.
fn expressions(list: &str) -> Vec<String> {
    let quotes: Vec<&str> = list.split('\'').collect();
    let is_list = quotes.len() > 1
        && quotes.len() % 2 == 1
        && quotes.iter().step_by(2).all(|between| matches!(between.trim(), "" | ","));
    if is_list { quotes.into_iter().skip(1).step_by(2).map(str::to_owned).collect() } else { vec![list.to_owned()] }
}

impl Element {
    fn take(&mut self, name: &str) -> Option<Attribute> {
        let index = self.attributes.iter().position(|attribute| attribute.name == name)?;
        Some(self.attributes.swap_remove(index))
    }

    /// The trimmed value; none where it is absent or blank.
    fn text(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|attribute| attribute.value.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn required(&mut self, name: &str) -> Result<String> {
        self.text(name).ok_or_else(|| self.lacks(name))
    }

    fn lacks(&self, name: &str) -> Error {
        let message = format!("{} has no `{name}`", quoted(&self.name));
        self.position.refuse(message, format!("add the attribute `{name}`"))
    }

    fn flag(&mut self, name: &str) -> Result<bool> {
        self.choice(name, false, &[("true", true), ("false", false), ("1", true), ("0", false)])
    }

    /// The meaning of the value, whatever its case, else `default`.
    fn choice<T: Copy>(&mut self, name: &str, default: T, choices: &[(&str, T)]) -> Result<T> {
        let Some(attribute) = self.take(name) else { return Ok(default) };
        let value = attribute.value.trim();
        choices.iter().find(|(text, _)| text.eq_ignore_ascii_case(value)).map(|(_, meaning)| *meaning).ok_or_else(
            || {
                let texts: Vec<&str> = choices.iter().map(|(text, _)| *text).collect();
                let message = format!("`{name}` of {} cannot be {}", quoted(&self.name), quoted(value));
                attribute.position.refuse(message, format!("write one of {}", texts.join(", ")))
            },
        )
    }

    fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        name: &str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T> {
        let Some(attribute) = self.take(name) else { return Ok(default) };
        attribute.value.trim().parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let message = format!("`{name}` of {} cannot be {}", quoted(&self.name), quoted(&attribute.value));
            let hint = format!("write a whole number from {} to {}", range.start(), range.end());
            attribute.position.refuse(message, hint)
        })
    }

    /// The value as `Entity:Property`.
    fn reference(&mut self, name: &str) -> Result<Option<PropertyReference>> {
        let Some(attribute) = self.take(name) else { return Ok(None) };
        match attribute.value.trim().split_once(':') {
            Some((entity_type, property)) if !entity_type.is_empty() && !property.is_empty() => {
                Ok(Some(PropertyReference { entity_type: entity_type.to_owned(), property: property.to_owned() }))
            }
            _ => {
                let message = format!("`{name}` of {} cannot be {}", quoted(&self.name), quoted(&attribute.value));
                Err(attribute.position.refuse(message, "write `Entity:Property`"))
            }
        }
    }
}
