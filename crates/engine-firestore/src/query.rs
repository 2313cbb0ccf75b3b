//! The one query: documents of a partition by the order of their names.

use gcloud_sdk::google::firestore::v1::{
    Cursor, RunQueryRequest, StructuredQuery, Value,
    run_query_request::{ConsistencySelector, QueryType},
    structured_query::{CollectionSelector, Direction, FieldReference, Order},
    value::ValueType,
};
use prost_types::Timestamp as Moment;
use store::{Listing, Partition};

use crate::names::{DOCS, Names};

/// Where a page begins and ends.
pub(crate) struct Range {
    parent: String,
    start: Option<Cursor>,
    end: Option<Cursor>,
}

impl Range {
    /// All that `listing` selects.
    pub(crate) fn of(names: &Names, partition: &Partition, listing: &Listing) -> Self {
        let prefix = listing.prefix.as_str();
        let after = listing.after.as_deref();
        let start = match after {
            Some(after) if after >= prefix => Some(cursor(names.id(partition, after), false)),
            _ if prefix.is_empty() => None,
            _ => Some(cursor(names.id(partition, prefix), true)),
        };
        let end = (!prefix.is_empty()).then(|| cursor(names.beyond(partition, prefix), true));
        Self {
            parent: names.partition(partition),
            start,
            end,
        }
    }

    /// What follows the document `name`.
    pub(crate) fn after(self, name: String) -> Self {
        Self {
            start: Some(cursor(name, false)),
            ..self
        }
    }

    /// The first `limit` documents, as they were at `moment` if one is given.
    pub(crate) fn query(&self, limit: usize, moment: Option<Moment>) -> RunQueryRequest {
        let name = FieldReference {
            field_path: "__name__".to_owned(),
        };
        let query = StructuredQuery {
            from: vec![CollectionSelector {
                collection_id: DOCS.to_owned(),
                all_descendants: false,
            }],
            order_by: vec![Order {
                field: Some(name),
                direction: Direction::Ascending.into(),
            }],
            start_at: self.start.clone(),
            end_at: self.end.clone(),
            limit: Some(i32::try_from(limit).unwrap_or(i32::MAX)),
            ..StructuredQuery::default()
        };
        RunQueryRequest {
            parent: self.parent.clone(),
            query_type: Some(QueryType::StructuredQuery(query)),
            consistency_selector: moment.map(ConsistencySelector::ReadTime),
            ..RunQueryRequest::default()
        }
    }
}

fn cursor(name: String, before: bool) -> Cursor {
    let name = Value {
        value_type: Some(ValueType::ReferenceValue(name)),
    };
    Cursor {
        values: vec![name],
        before,
    }
}
