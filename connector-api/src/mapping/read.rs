//! Reads the XML of a `Conf/` folder, file after file, into a [`Mapping`].
//!
//! What the elements mean is in `elements.rs`, how XML is read safely in `xml.rs`. Known elements count at the top of a file and
//! directly inside `ConfigurationFile`; everything else is passed over with one warning a name. Names are exact.
//! Source: the vendor's reference of the XML configuration.

use std::{collections::HashSet, io::BufRead};

use super::{
    Mapping, Position, Warning, check, elements, quoted,
    xml::{Document, Element, Node},
};
use crate::error::Result;

/// The most warnings that are kept; of the others only the number is.
const MAX_WARNINGS: usize = 100;
/// The most bytes that all kept elements of all files may have together.
const MAX_KEPT: usize = 32 << 20;
/// What a kept element weighs beside its text.
const ELEMENT_WEIGHT: usize = 256;

/// Reads the files of one mapping, in the order in which their elements count.
#[derive(Debug, Default)]
pub struct Reader {
    mapping: Mapping,
    warnings: Warnings,
    kept: usize,
}

impl Reader {
    /// Reads one more file; `file` is its name in messages.
    ///
    /// # Errors
    /// Of kind [`Settings`](crate::ErrorKind::Settings), with the position in front: what is no XML, exceeds a limit or
    /// cannot be obeyed. The reader is then of no further use.
    pub fn read(&mut self, file: &str, source: impl BufRead) -> Result<()> {
        let mut document = Document::new(file, source)?;
        let mut is_empty = true;
        loop {
            match document.next()? {
                Node::Open(element) => {
                    is_empty = false;
                    if element.name != "ConfigurationFile" || document.depth() != 1 {
                        self.element(element, &mut document)?;
                    }
                }
                Node::Close => {}
                Node::Text(position) => self.stray_text(position),
                Node::End if is_empty => {
                    let start = Position { file: file.into(), line: 1, column: 1 };
                    return Err(start.refuse("the file holds no XML element", "restore the file, or remove it"));
                }
                Node::End => return Ok(()),
            }
        }
    }

    /// The mapping and what was odd about it, checked across files: at most 100 warnings and the number of the others.
    ///
    /// # Errors
    /// None so far: files that contradict each other load.
    pub fn finish(mut self) -> Result<(Mapping, Vec<Warning>)> {
        check::check(&self.mapping, &mut self.warnings);
        Ok((self.mapping, self.warnings.into_vec()))
    }

    fn element(&mut self, mut element: Element, document: &mut Document<'_>) -> Result<()> {
        let has_properties = match element.name.as_str() {
            "EntityType" | "EntityTypeMapping" => true,
            "Connection"
            | "Connector"
            | "EntityAssociation"
            | "EntityAssociationMapping"
            | "OktaResourceTypeMapping"
            | "PasswordGenerationSetting"
            | "PasswordResetSettings" => false,
            // What the vendor's screens offer for choice: it says nothing about what is exported.
            "ConnectionTable" => return document.skip(),
            _ => {
                self.unknown_element(&element);
                return document.skip();
            }
        };
        self.keep(&element)?;
        let mut properties = Vec::new();
        loop {
            match document.next()? {
                Node::Open(child) => {
                    document.skip()?;
                    if has_properties && child.name == "Property" {
                        self.keep(&child)?;
                        properties.push(child);
                    } else {
                        self.unknown_element(&child);
                    }
                }
                Node::Text(position) => self.stray_text(position),
                Node::Close | Node::End => break,
            }
        }
        self.take(&mut element, &mut properties)?;
        for element in properties.iter().chain([&element]) {
            self.unknown_attributes(element);
        }
        Ok(())
    }

    /// Adds the element to the mapping; attributes that nobody asked for stay behind in it.
    fn take(&mut self, element: &mut Element, properties: &mut [Element]) -> Result<()> {
        let mapping = &mut self.mapping;
        match element.name.as_str() {
            "Connection" => mapping.connections.push(elements::connection(element)?),
            "Connector" => mapping.connectors.push(elements::connector(element)?),
            "EntityType" => mapping.entity_types.push(elements::entity_type(element, properties, &mut self.warnings)?),
            "EntityTypeMapping" => {
                mapping.entity_type_mappings.push(elements::entity_type_mapping(element, properties)?)
            }
            "EntityAssociation" => mapping.associations.push(elements::association(element)?),
            "EntityAssociationMapping" => mapping.association_mappings.push(elements::association_mapping(element)?),
            "OktaResourceTypeMapping" => mapping.resource_type_mappings.push(elements::resource_type_mapping(element)?),
            "PasswordGenerationSetting" => {
                mapping.allowed_symbol_chars = Some(elements::password_generation_setting(element)?);
            }
            // The one name left of those that `element` lets through.
            _ => mapping.password_reset_settings.push(elements::password_reset_settings(element)?),
        }
        Ok(())
    }

    fn keep(&mut self, element: &Element) -> Result<()> {
        let text: usize = element.attributes.iter().map(|attribute| attribute.name.len() + attribute.value.len()).sum();
        self.kept += ELEMENT_WEIGHT + text;
        if self.kept > MAX_KEPT {
            let message = format!("the mapping is larger than {} MiB up to here", MAX_KEPT >> 20);
            return Err(element.position.refuse(message, "keep only what describes connections in these files"));
        }
        Ok(())
    }

    fn stray_text(&mut self, position: Position) {
        let message = "text outside of attributes means nothing and is left out".to_owned();
        self.warnings.push_once(format!("{} text", position.file), position, message);
    }

    fn unknown_element(&mut self, element: &Element) {
        let message = format!("{} is no part of the mapping and is left out", quoted(&element.name));
        self.warnings.push_once(element.name.clone(), element.position.clone(), message);
    }

    fn unknown_attributes(&mut self, element: &Element) {
        for attribute in element.attributes.iter().filter(|attribute| !is_for_the_server(&attribute.name)) {
            let (name, owner) = (quoted(&attribute.name), quoted(&element.name));
            let message = format!("the attribute {name} of {owner} has no effect here");
            let key = format!("{} {}", element.name, attribute.name);
            self.warnings.push_once(key, attribute.position.clone(), message);
        }
    }
}

/// What is odd about the files, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    kept: Vec<Warning>,
    said: HashSet<String>,
    more: usize,
}

impl Warnings {
    pub(super) fn push(&mut self, position: &Position, message: impl Into<String>) {
        if self.kept.len() < MAX_WARNINGS {
            self.kept.push(Warning { position: position.clone(), message: message.into() });
        } else {
            self.more += 1;
        }
    }

    fn push_once(&mut self, key: String, position: Position, message: String) {
        if self.kept.len() == MAX_WARNINGS {
            self.more += usize::from(!self.said.contains(&key));
        } else if self.said.insert(key) {
            self.kept.push(Warning { position, message });
        }
    }

    fn into_vec(mut self) -> Vec<Warning> {
        if let (1.., Some(last)) = (self.more, self.kept.last()) {
            let position = last.position.clone();
            self.kept.push(Warning { position, message: format!("and {} more warnings", self.more) });
        }
        self.kept
    }
}

/// Documented attributes that concern pages and synchronization thresholds only.
fn is_for_the_server(attribute: &str) -> bool {
    attribute.starts_with("DisplayName_L")
        || attribute.starts_with("Max")
        || matches!(attribute, "Agent" | "CompleteJob" | "IncrementalJob" | "C0")
}
