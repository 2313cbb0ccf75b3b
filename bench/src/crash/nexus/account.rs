//! The books of one tenant: which cards there have to be, and what they say.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::load::{Acked, Answer, Change, Written, id_of, revision_of, text_of};
use crate::{server::Member, wire::http::Connection};

const PAGE: usize = 1000;

/// What a card says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) title: String,
    pub(super) revision: u64,
}

/// Cards by their id.
pub(super) type Cards = BTreeMap<String, Card>;

/// What the books show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Acknowledged changes that are not there.
    pub(super) lost: Vec<String>,
    /// What was done in part, twice, or by nobody.
    pub(super) half: Vec<String>,
}

impl Findings {
    /// Whether nothing is lost or half done.
    pub(super) fn is_sound(&self) -> bool {
        self.lost.is_empty() && self.half.is_empty()
    }

    /// Adds what another round found.
    pub(super) fn add(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.half.extend(other.half);
    }
}

/// What is known of a tenant's cards.
#[derive(Default)]
pub(super) struct Book {
    live: Cards,
    deleted: BTreeSet<String>,
    pending: Vec<Change>,
}

impl Book {
    /// Enters what a writer knows.
    pub(super) fn enter(&mut self, written: Written) {
        for acked in written.acked {
            self.apply(acked);
        }
        self.pending.extend(written.pending);
    }

    /// How many cards were ever made.
    pub(super) fn made(&self) -> u64 {
        (self.live.len() + self.deleted.len()) as u64
    }

    fn apply(&mut self, acked: Acked) {
        let Acked {
            change,
            id,
            revision,
        } = acked;
        match change {
            Change::Create { title } | Change::Replace { title, .. } => {
                self.live.insert(id, Card { title, revision });
            }
            Change::Delete { .. } => {
                self.live.remove(&id);
                self.deleted.insert(id);
            }
        }
    }

    /// Compares the books with what the restarted server holds.
    ///
    /// # Errors
    /// When the server refuses or answers nonsense.
    pub(super) fn settle(&mut self, addr: SocketAddr, member: &Member) -> Result<Findings> {
        let mut findings = Findings::default();
        let mut connection = Connection::open(addr)?;
        for change in std::mem::take(&mut self.pending) {
            self.resolve(&mut connection, member, change, &mut findings)?;
        }
        let held = list(&mut connection, member, &mut findings)?;
        self.check(&held, &mut findings);
        Ok(findings)
    }

    /// Finds out what became of a change that was not answered: making a card is asked for
    /// again, anything else shows.
    fn resolve(
        &mut self,
        connection: &mut Connection,
        member: &Member,
        change: Change,
        findings: &mut Findings,
    ) -> Result<()> {
        let (id, from) = match &change {
            Change::Create { .. } => {
                let answer = change.send(connection, member)?;
                if let Answer::Done { id, revision } = answer.context("the server is gone")? {
                    self.apply(Acked {
                        change,
                        id,
                        revision,
                    });
                }
                return Ok(());
            }
            Change::Replace { id, from, .. } | Change::Delete { id, from } => (id.clone(), *from),
        };
        let response =
            connection.call("GET", &format!("/nexus/cards/{id}"), &member.headers(), "")?;
        let found = match response.status {
            404 => None,
            _ => Some(revision_of(&response.json(200)?)?),
        };
        let done = match (&change, found) {
            (_, Some(revision)) if revision == from => None,
            (Change::Replace { .. }, Some(revision)) if revision == from + 1 => Some(revision),
            (Change::Delete { .. }, None) => Some(from),
            (_, found) => {
                findings
                    .half
                    .push(format!("{change:?} led to the revision {found:?}"));
                None
            }
        };
        if let Some(revision) = done {
            self.apply(Acked {
                change,
                id,
                revision,
            });
        }
        Ok(())
    }

    /// Every card is as it was left, and there are no others.
    fn check(&self, held: &Cards, findings: &mut Findings) {
        for (id, card) in &self.live {
            match held.get(id) {
                Some(found) if found == card => {}
                Some(found) if found.revision >= card.revision => {
                    let half = format!("{id} is {found:?} and was left as {card:?}");
                    findings.half.push(half);
                }
                found => {
                    let lost = format!("{id} is {found:?} and was acknowledged as {card:?}");
                    findings.lost.push(lost);
                }
            }
        }
        let mut titles = BTreeSet::new();
        for (id, card) in held {
            if self.deleted.contains(id) {
                findings.lost.push(format!("{id} was deleted and is there"));
            } else if !self.live.contains_key(id) {
                findings.half.push(format!("nobody made {id}, {card:?}"));
            }
            if !titles.insert(&card.title) {
                findings.half.push(format!("{} is there twice", card.title));
            }
        }
    }
}

/// All cards of the member's tenant, page by page.
fn list(connection: &mut Connection, member: &Member, findings: &mut Findings) -> Result<Cards> {
    let mut cards = Cards::new();
    let mut after = String::new();
    loop {
        let path = format!("/nexus/cards?limit={PAGE}{after}");
        let page = connection
            .call("GET", &path, &member.headers(), "")?
            .json(200)?;
        let items = page.get("items").and_then(Value::as_array);
        for item in items.with_context(|| format!("no items in {page}"))? {
            let title = item.get("title").and_then(Value::as_str);
            let card = Card {
                title: title.context("a card has a title")?.to_owned(),
                revision: revision_of(item)?,
            };
            let whole = item.get("body").and_then(Value::as_str) == Some(&text_of(&card.title));
            if !whole {
                findings.half.push(format!("{item} is not whole"));
            }
            cards.insert(id_of(item)?, card);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(cards),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(title: &str, revision: u64) -> Card {
        Card {
            title: title.to_owned(),
            revision,
        }
    }

    /// `c_1` was made and changed, `c_2` was made and deleted.
    fn check(held: &[(&str, Card)], lost: usize, half: usize) {
        let done = |change, id: &str, revision| Acked {
            change,
            id: id.to_owned(),
            revision,
        };
        let create = |title: &str| Change::Create {
            title: title.to_owned(),
        };
        let (id, title) = ("c_1".to_owned(), "b".to_owned());
        let replace = Change::Replace { id, title, from: 1 };
        let id = "c_2".to_owned();
        let mut book = Book::default();
        book.enter(Written {
            acked: vec![
                done(create("a"), "c_1", 1),
                done(create("x"), "c_2", 1),
                done(replace, "c_1", 2),
                done(Change::Delete { id, from: 1 }, "c_2", 1),
            ],
            ..Written::default()
        });
        assert_eq!(book.made(), 2);
        let held = held
            .iter()
            .map(|(id, card)| ((*id).to_owned(), card.clone()));
        let mut findings = Findings::default();
        book.check(&held.collect(), &mut findings);
        let counts = (findings.lost.len(), findings.half.len());
        assert_eq!(counts, (lost, half), "{findings:?}");
    }

    #[test]
    fn the_books_notice_whatever_goes_wrong() {
        check(&[("c_1", card("b", 2))], 0, 0);
        check(&[], 1, 0);
        check(&[("c_1", card("a", 1))], 1, 0);
        check(&[("c_1", card("a", 2))], 0, 1);
        check(&[("c_1", card("b", 3))], 0, 1);
        check(&[("c_1", card("b", 2)), ("c_2", card("x", 1))], 1, 0);
        check(&[("c_1", card("b", 2)), ("c_3", card("y", 1))], 0, 1);
        check(&[("c_1", card("b", 2)), ("c_3", card("b", 1))], 0, 2);
    }
}
