//! Lists come in pages, ordered by id.

use std::str::FromStr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use identity::Problem;

use crate::{
    DOCUMENT_ID_BYTES_MAX, Document, Documents, LIST_LIMIT_MAX, Listing, Partition, StoreError,
    Version,
};

/// Items of a page unless the caller asks for another number.
pub const PAGE_LIMIT_DEFAULT: usize = 100;

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    after: Option<String>,
    limit: usize,
}

/// What is wrong with the request for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPage {
    /// A limit of 0.
    #[error("limit: must be 1 at least")]
    Limit,
    /// `after` is no cursor.
    #[error("after: is no cursor of this list")]
    Cursor,
}

impl From<InvalidPage> for Problem {
    fn from(error: InvalidPage) -> Self {
        match error {
            InvalidPage::Limit => Self::query("limit", "must be 1 at least"),
            InvalidPage::Cursor => Self::query("after", "is no cursor of this list"),
        }
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            after: None,
            limit: PAGE_LIMIT_DEFAULT,
        }
    }
}

impl PageRequest {
    /// At most `limit` items after `cursor`, [`PAGE_LIMIT_DEFAULT`] unless said, and never
    /// more than [`LIST_LIMIT_MAX`].
    ///
    /// # Errors
    /// [`InvalidPage::Limit`].
    pub fn new(cursor: Option<PageCursor>, limit: Option<usize>) -> Result<Self, InvalidPage> {
        match limit.unwrap_or(PAGE_LIMIT_DEFAULT) {
            0 => Err(InvalidPage::Limit),
            limit => Ok(Self {
                after: cursor.map(|cursor| cursor.0),
                limit: limit.min(LIST_LIMIT_MAX),
            }),
        }
    }

    /// The same from the texts of a query.
    ///
    /// # Errors
    /// [`InvalidPage`].
    pub fn parse(after: Option<&str>, limit: Option<usize>) -> Result<Self, InvalidPage> {
        Self::new(after.map(str::parse).transpose()?, limit)
    }

    /// The first page, as large as pages get: for those who read them all.
    #[must_use]
    pub const fn largest() -> Self {
        Self {
            after: None,
            limit: LIST_LIMIT_MAX,
        }
    }

    /// The page after `page`, which was read with this request; `None` after the last.
    #[must_use]
    pub fn following<T>(&self, page: &Page<T>) -> Option<Self> {
        page.next.as_ref().map(|last| Self {
            after: Some(last.clone()),
            limit: self.limit,
        })
    }

    /// Reads the page from a partition.
    ///
    /// # Errors
    /// As [`Documents::list`].
    pub async fn read(
        &self,
        documents: &dyn Documents,
        partition: &Partition,
    ) -> Result<Page<Document>, StoreError> {
        self.read_prefixed(documents, partition, "").await
    }

    /// Reads the page from the documents of a partition whose ids begin with `prefix`.
    ///
    /// # Errors
    /// As [`Documents::list`].
    pub async fn read_prefixed(
        &self,
        documents: &dyn Documents,
        partition: &Partition,
        prefix: &str,
    ) -> Result<Page<Document>, StoreError> {
        let mut listing = Listing {
            prefix: prefix.to_owned(),
            after: self.after.clone(),
            limit: self.limit,
        };
        let items = documents.list(partition, &listing).await?;
        let mut next = None;
        if items.len() == listing.limit
            && let Some(last) = items.last()
        {
            // A full page may be the last one; only a look beyond it tells.
            listing.after = Some(last.id.clone());
            listing.limit = 1;
            let beyond = documents.list(partition, &listing).await?;
            next = (!beyond.is_empty()).then(|| last.id.clone());
        }
        Ok(Page { items, next })
    }
}

/// Where a page ended; opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageCursor(String);

impl FromStr for PageCursor {
    type Err = InvalidPage;

    fn from_str(text: &str) -> Result<Self, InvalidPage> {
        let id = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .filter(|id| (1..=DOCUMENT_ID_BYTES_MAX).contains(&id.len()));
        id.map(Self).ok_or(InvalidPage::Cursor)
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, ordered by id.
    pub items: Vec<T>,
    next: Option<String>,
}

impl<T> Page<T> {
    /// A list that is one page.
    #[must_use]
    pub fn whole(items: impl IntoIterator<Item = T>) -> Self {
        Self {
            items: items.into_iter().collect(),
            next: None,
        }
    }

    /// The cursor of the next page, if there is one.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        self.next
            .as_ref()
            .map(|id| BASE64_URL_SAFE_NO_PAD.encode(id))
    }

    /// The same page of something made from each item.
    ///
    /// # Errors
    /// The first that `to` returns.
    pub fn try_map<U, E>(self, to: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        Ok(Page {
            items: self.items.into_iter().map(to).collect::<Result<_, _>>()?,
            next: self.next,
        })
    }
}

/// A record, and the state it was read in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The record.
    pub value: T,
    /// Its state.
    pub version: Version,
}

impl<T> Versioned<T> {
    /// The same state of something made from the record.
    pub fn map<U>(self, to: impl FnOnce(T) -> U) -> Versioned<U> {
        Versioned {
            value: to(self.value),
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_held() {
        assert_eq!(PageRequest::new(None, None).unwrap().limit, 100);
        assert_eq!(PageRequest::new(None, Some(7)).unwrap().limit, 7);
        assert_eq!(PageRequest::new(None, Some(1001)).unwrap().limit, 1000);
        assert_eq!(PageRequest::new(None, Some(0)), Err(InvalidPage::Limit));
    }

    #[test]
    fn a_cursor_round_trips_and_garbage_is_refused() {
        let page = Page {
            items: vec![()],
            next: Some("u_1".to_owned()),
        };
        let next = page.next().unwrap();
        let request = PageRequest::parse(Some(&next), None).unwrap();
        assert_eq!(request.after.as_deref(), Some("u_1"));
        for bad in ["", "!", "_w", "u_1"] {
            let refused = PageRequest::parse(Some(bad), None);
            assert_eq!(refused, Err(InvalidPage::Cursor), "{bad:?}");
        }
    }
}
