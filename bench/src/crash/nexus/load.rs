//! Writers of cards: each sends one change after the other until the server is gone.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    server::Member,
    wire::http::{Connection, Response},
};

/// So much text has a card.
const BODY_BYTES: usize = 600;

/// A change of cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Makes the card that is called so, under its name as the idempotency key.
    Create { title: String },
    /// Gives a card another title.
    Replace {
        id: String,
        title: String,
        from: u64,
    },
    /// Deletes a card.
    Delete { id: String, from: u64 },
}

/// A change that was acknowledged: the card that it was done to, and its revision.
pub(super) struct Acked {
    pub(super) change: Change,
    pub(super) id: String,
    pub(super) revision: u64,
}

/// What a writer knows when the server is gone.
#[derive(Default)]
pub(super) struct Written {
    pub(super) acked: Vec<Acked>,
    /// What was sent and not answered, if anything was.
    pub(super) pending: Option<Change>,
    /// How often a budget said no.
    pub(super) denied: usize,
}

/// What became of a change.
pub(super) enum Answer {
    Done { id: String, revision: u64 },
    Denied,
}

impl Change {
    /// Sends it; `None` when the server is gone.
    ///
    /// # Errors
    /// When the server answers something that nobody expects.
    pub(super) fn send(
        &self,
        connection: &mut Connection,
        member: &Member,
    ) -> Result<Option<Answer>> {
        let headers = member.headers();
        let response = match self {
            Self::Create { title } => {
                let headers = format!("{headers}idempotency-key: {title}\r\n");
                connection.call("POST", "/nexus/cards", &headers, &card(title))
            }
            Self::Replace { id, title, from } => {
                let headers = format!("{headers}if-match: \"{from:x}\"\r\n");
                let path = format!("/nexus/cards/{id}");
                connection.call("PUT", &path, &headers, &card(title))
            }
            Self::Delete { id, from } => {
                let headers = format!("{headers}if-match: \"{from:x}\"\r\n");
                let path = format!("/nexus/cards/{id}");
                connection.call("DELETE", &path, &headers, "")
            }
        };
        let Ok(response) = response else {
            return Ok(None);
        };
        self.read(&response)
            .map(Some)
            .with_context(|| format!("{self:?}"))
    }

    fn read(&self, response: &Response) -> Result<Answer> {
        let body = || -> Result<Value> { Ok(serde_json::from_slice(&response.body)?) };
        match (response.status, self) {
            (200 | 201, _) => {
                let card = body()?;
                Ok(Answer::Done {
                    id: id_of(&card)?,
                    revision: revision_of(&card)?,
                })
            }
            (204, Self::Delete { id, from }) => Ok(Answer::Done {
                id: id.clone(),
                revision: *from,
            }),
            (402, Self::Create { .. }) => Ok(Answer::Denied),
            (status, _) => bail!("{status}: {}", String::from_utf8_lossy(&response.body)),
        }
    }
}

/// The text that a card with this title has: whether it is whole can be seen.
pub(super) fn text_of(title: &str) -> String {
    title.chars().cycle().take(BODY_BYTES).collect()
}

fn card(title: &str) -> String {
    json!({"title": title, "body": text_of(title), "tags": ["crash"]}).to_string()
}

pub(super) fn id_of(card: &Value) -> Result<String> {
    let id = card.get("id").and_then(Value::as_str);
    id.map(str::to_owned)
        .with_context(|| format!("no id in {card}"))
}

pub(super) fn revision_of(card: &Value) -> Result<u64> {
    let revision = card.get("revision").and_then(Value::as_u64);
    revision.with_context(|| format!("no revision in {card}"))
}

/// Two cards are made, one of them is changed and the other deleted, again and again.
///
/// # Errors
/// When the server answers something that nobody expects.
pub(super) fn write(addr: SocketAddr, member: &Member, name: &str) -> Result<Written> {
    let mut written = Written::default();
    // Cards that were made, and to which nothing was done since.
    let mut fresh = Vec::new();
    let Ok(mut connection) = Connection::open(addr) else {
        return Ok(written);
    };
    for n in 0_u64.. {
        let title = format!("{name}x{n}");
        let change = match (n % 4, fresh.pop()) {
            (2, Some((id, from))) => Change::Replace { id, title, from },
            (3, Some((id, from))) => Change::Delete { id, from },
            (_, untouched) => {
                fresh.extend(untouched);
                Change::Create { title }
            }
        };
        match change.send(&mut connection, member)? {
            None => {
                written.pending = Some(change);
                break;
            }
            Some(Answer::Denied) => written.denied += 1,
            Some(Answer::Done { id, revision }) => {
                if let Change::Create { .. } = change {
                    fresh.push((id.clone(), revision));
                }
                written.acked.push(Acked {
                    change,
                    id,
                    revision,
                });
            }
        }
    }
    Ok(written)
}
