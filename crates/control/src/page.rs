//! Lists come in pages, ordered by id.

use std::str::FromStr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use store::{DOCUMENT_ID_BYTES_MAX, LIST_LIMIT_MAX};

use crate::ControlError;

/// Items of a page unless the caller asks for another number.
const LIMIT_DEFAULT: usize = 100;

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            after: None,
            limit: LIMIT_DEFAULT,
        }
    }
}

impl PageRequest {
    /// At most `limit` items after `cursor`, and never more than 1,000.
    ///
    /// # Errors
    /// [`ControlError::Invalid`] when the limit is 0.
    pub fn new(cursor: Option<Cursor>, limit: Option<usize>) -> Result<Self, ControlError> {
        let limit = limit.unwrap_or(LIMIT_DEFAULT);
        if limit == 0 {
            return Err(ControlError::invalid("limit", "must be 1 at least"));
        }
        Ok(Self {
            after: cursor.map(|cursor| cursor.0),
            limit: limit.min(LIST_LIMIT_MAX),
        })
    }
}

/// Where a page ended; opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl FromStr for Cursor {
    type Err = ControlError;

    fn from_str(text: &str) -> Result<Self, ControlError> {
        let id = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .filter(|id| (1..=DOCUMENT_ID_BYTES_MAX).contains(&id.len()));
        id.map(Self)
            .ok_or_else(|| ControlError::invalid("after", "is no cursor of this list"))
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, ordered by id.
    pub items: Vec<T>,
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
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
    pub(crate) fn try_map<U>(
        self,
        to: impl FnMut(T) -> Result<U, ControlError>,
    ) -> Result<Page<U>, ControlError> {
        Ok(Page {
            items: self.items.into_iter().map(to).collect::<Result<_, _>>()?,
            next: self.next,
        })
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
        assert!(PageRequest::new(None, Some(0)).is_err());
    }

    #[test]
    fn a_cursor_round_trips_and_garbage_is_refused() {
        let page = Page {
            items: vec![()],
            next: Some("u_1".to_owned()),
        };
        let cursor: Cursor = page.next().unwrap().parse().unwrap();
        assert_eq!(cursor.0, "u_1");
        for bad in ["", "!", "_w", "u_1"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad:?}");
        }
    }
}
