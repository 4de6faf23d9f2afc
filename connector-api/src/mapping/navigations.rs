//! From the mapping's associations to the links of a connection: what a property that leads to other records stands for.
//!
//! An association is one table of links seen from two entity types, or a column of an entity type's own table. Export
//! and fulfilment read the same associations, so that what is written comes back with the next export.
//! Source: the vendor's pages on EntityAssociation and EntityAssociationMapping.

use super::{AssociationColumn, EntityAssociationMapping, Mapping, PropertyReference, tables::Scope};
use crate::{
    capabilities::{Capabilities, TableCapability},
    error::Result,
    settings::ConnectionId,
};

/// A property of an entity type that leads to records of another, and where a connection keeps that.
#[derive(Debug, Clone)]
pub struct Navigation {
    /// The entity type and its property.
    pub property: PropertyReference,
    /// Whether the property may hold several links.
    pub is_collection: bool,
    /// Where the links are kept.
    pub place: NavigationPlace,
    /// The entity type that it leads to.
    pub other: String,
    /// The property of that entity type whose value the link holds, where the mapping says so.
    pub other_property: Option<String>,
}

/// Where the links of a [`Navigation`] are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NavigationPlace {
    /// In a table of links; the record that has the property is on this side of it.
    Links {
        /// The table, as the connector names it.
        table: &'static str,
        /// The index of the side.
        side: usize,
    },
    /// In a column of the record's own table, which holds the key of the other record.
    Column {
        /// The table, as the connector names it.
        table: &'static str,
        /// The column, as the mapping spells it.
        column: String,
    },
}

impl Mapping {
    /// The navigations that `connection` keeps, in the order of the association mappings.
    ///
    /// # Errors
    /// As [`Mapping::tables`]: an association that does not lead to identities on both sides.
    pub fn navigations(&self, connection: &ConnectionId, capabilities: &Capabilities) -> Result<Vec<Navigation>> {
        let scope = Scope { mapping: self, connection, capabilities };
        let mut found = Vec::new();
        for mapped in &self.association_mappings {
            let capability = connection.table_of(&mapped.connection_table).and_then(|name| capabilities.table(name));
            let association =
                self.associations.iter().find(|known| known.identifier.eq_ignore_ascii_case(&mapped.identifier));
            let (Some(capability), Some(association)) = (capability, association) else { continue };
            let columns = columns_by_side(mapped, association.sides.each_ref().map(|side| &side.property));
            for (own, other) in [(0, 1), (1, 0)] {
                let Some(place) = scope.place(capability, mapped, columns[own], columns[other])? else { continue };
                found.push(Navigation {
                    property: association.sides[own].property.clone(),
                    is_collection: association.sides[own].is_collection,
                    place,
                    other: association.sides[other].property.entity_type.clone(),
                    other_property: columns[other].property.as_ref().map(|property| property.property.clone()),
                });
            }
        }
        Ok(found)
    }
}

impl Scope<'_> {
    /// Where the links of the side with the column `own` are kept; none where the other side's table keeps them.
    fn place(
        &self,
        capability: &TableCapability,
        mapped: &EntityAssociationMapping,
        own: &AssociationColumn,
        other: &AssociationColumn,
    ) -> Result<Option<NavigationPlace>> {
        let table = capability.name;
        if !capability.sides.is_empty() {
            return Ok(Some(NavigationPlace::Links { table, side: self.side(capability, mapped, own)? }));
        }
        let is_own = self
            .target(own)
            .is_ok_and(|(of, column)| of.eq_ignore_ascii_case(table) && column.eq_ignore_ascii_case(&own.name));
        Ok(is_own.then(|| NavigationPlace::Column { table, column: other.name.clone() }))
    }
}

/// The column of each side: the one that leads to the side's entity type, whichever way round they are written.
fn columns_by_side<'a>(
    mapped: &'a EntityAssociationMapping,
    sides: [&PropertyReference; 2],
) -> [&'a AssociationColumn; 2] {
    let [first, second] = &mapped.columns;
    let leads = |column: &AssociationColumn, side: &PropertyReference| {
        column.property.as_ref().is_some_and(|it| it.entity_type.eq_ignore_ascii_case(&side.entity_type))
    };
    let is_crossed = leads(first, sides[1]) && leads(second, sides[0]) && !leads(first, sides[0]);
    if is_crossed { [second, first] } else { [first, second] }
}
