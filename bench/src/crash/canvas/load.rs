//! Clients of a canvas: each sends one batch of commands after the other until the server is gone.

use std::{net::SocketAddr, thread::sleep, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    server::Member,
    wire::http::{Connection, Response},
};

/// How long a client waits that was told it sends too fast.
pub(super) const THROTTLED_PAUSE: Duration = Duration::from_millis(100);
/// Every so many batches a client acts as if it had not heard the answer.
const RESENT_EVERY: u64 = 3;

/// Who sends, where, and how it meets what it has not seen.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) canvas: &'static str,
    /// Unique over the whole drill.
    pub(super) name: String,
    pub(super) mode: &'static str,
}

/// A batch as it is sent, however often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) client: String,
    pub(super) id: String,
    body: String,
}

/// A batch that was acknowledged: the revision that it made, and the hash of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Acked {
    pub(super) batch: Batch,
    pub(super) rev: u64,
    pub(super) state_hash: String,
}

/// What a client knows when the server is gone.
#[derive(Default)]
pub(super) struct Written {
    pub(super) acked: Vec<Acked>,
    /// What was sent and not answered, if anything was.
    pub(super) pending: Option<Batch>,
    /// How often the canvas was elsewhere.
    pub(super) refused: usize,
    /// How often a batch was sent again, and had the answer of then.
    pub(super) resent: usize,
}

/// What became of a batch.
pub(super) enum Answer {
    Done {
        rev: u64,
        state_hash: String,
        duplicate: bool,
    },
    /// The canvas is elsewhere.
    Refused { head_rev: u64 },
    /// The tenant's rates are used up.
    Throttled,
}

impl Batch {
    /// The `n`th batch of `client`, made for the revision `base`. Four of them make two nodes, change
    /// and move one, and remove both, so that the canvas does not grow; nobody else touches them.
    fn of(client: &Client, n: u64, base: u64) -> Self {
        let (group, child) = (format!("{}-g{}", client.name, n / 4), n / 4);
        let child = format!("{}-c{child}", client.name);
        let commands = match n % 4 {
            0 => vec![
                ("node.create", json!({"node": group, "type": "group"})),
                (
                    "node.create",
                    json!({"node": child, "type": "note", "parent": group}),
                ),
            ],
            1 => vec![("node.update", json!({"node": child, "set": {"n": n}}))],
            2 => vec![("node.move", json!({"node": child, "parent": null}))],
            _ => vec![
                ("node.delete", json!({"node": group})),
                ("node.delete", json!({"node": child})),
            ],
        };
        let commands: Vec<Value> = commands
            .into_iter()
            .enumerate()
            .map(|(at, (kind, args))| json!({"cmd_id": at.to_string(), "kind": kind, "args": args}))
            .collect();
        let id = n.to_string();
        let body = json!({
            "base_rev": base,
            "client_id": client.name,
            "batch_id": id,
            "mode": client.mode,
            "commands": commands,
        });
        Self {
            client: client.name.clone(),
            id,
            body: body.to_string(),
        }
    }

    #[cfg(test)]
    pub(super) fn named(client: &str, id: &str) -> Self {
        Self {
            client: client.to_owned(),
            id: id.to_owned(),
            body: String::new(),
        }
    }

    /// Sends it; `None` when the server is gone.
    ///
    /// # Errors
    /// When the server answers something that nobody expects.
    pub(super) fn send(
        &self,
        connection: &mut Connection,
        member: &Member,
        canvas: &str,
    ) -> Result<Option<Answer>> {
        let path = format!("/canvas/{canvas}/commands");
        let Ok(response) = connection.call("POST", &path, &member.headers(), &self.body) else {
            return Ok(None);
        };
        let answer = read(&response);
        answer.map(Some).with_context(|| self.body.clone())
    }
}

fn read(response: &Response) -> Result<Answer> {
    let said: Value = serde_json::from_slice(&response.body)?;
    let number = |name: &str| said.get(name).and_then(Value::as_u64);
    Ok(match (response.status, said.get("code")) {
        (200, _) => Answer::Done {
            rev: number("rev").context("an answer without a revision")?,
            state_hash: text(&said, "state_hash")?,
            duplicate: said.get("duplicate") == Some(&Value::Bool(true)),
        },
        (409, Some(code)) if code == "rev_mismatch" => Answer::Refused {
            head_rev: number("head_rev").context("a refusal without the head")?,
        },
        (429, _) => Answer::Throttled,
        (status, _) => bail!("{status}: {said}"),
    })
}

pub(super) fn text(value: &Value, name: &str) -> Result<String> {
    let found = value.get(name).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .with_context(|| format!("no {name} in {value}"))
}

impl Client {
    /// Sends batches until the server is gone.
    ///
    /// # Errors
    /// When the server answers something that nobody expects.
    pub(super) fn write(&self, addr: SocketAddr, member: &Member) -> Result<Written> {
        let mut written = Written::default();
        let Ok(mut connection) = Connection::open(addr) else {
            return Ok(written);
        };
        let mut base = 0;
        for n in 0_u64.. {
            let mut batch = Batch::of(self, n, base);
            let acked = loop {
                match batch.send(&mut connection, member, self.canvas)? {
                    None => {
                        written.pending = Some(batch);
                        return Ok(written);
                    }
                    Some(Answer::Throttled) => sleep(THROTTLED_PAUSE),
                    // What was refused left no trace: the same id, for the head of now.
                    Some(Answer::Refused { head_rev }) => {
                        ensure!(
                            self.mode == "strict" || base == 0,
                            "{} touches nobody's nodes and was refused",
                            batch.body
                        );
                        written.refused += 1;
                        base = head_rev;
                        batch = Batch::of(self, n, base);
                    }
                    Some(Answer::Done {
                        rev,
                        state_hash,
                        duplicate,
                    }) => {
                        ensure!(!duplicate, "{} was never sent before", batch.body);
                        base = rev;
                        break Acked {
                            batch,
                            rev,
                            state_hash,
                        };
                    }
                }
            };
            let again = n.is_multiple_of(RESENT_EVERY).then(|| acked.clone());
            written.acked.push(acked);
            if let Some(acked) = again {
                match self.again(&mut connection, member, &acked)? {
                    true => written.resent += 1,
                    false => return Ok(written),
                }
            }
        }
        Ok(written)
    }

    /// Sends what was acknowledged again; whether the server is there.
    ///
    /// # Errors
    /// When the answer is another one.
    fn again(&self, connection: &mut Connection, member: &Member, acked: &Acked) -> Result<bool> {
        loop {
            match acked.batch.send(connection, member, self.canvas)? {
                None => return Ok(false),
                Some(Answer::Throttled) => sleep(THROTTLED_PAUSE),
                Some(Answer::Done {
                    rev,
                    state_hash,
                    duplicate: true,
                }) if (rev, &state_hash) == (acked.rev, &acked.state_hash) => {
                    return Ok(true);
                }
                Some(_) => bail!("{acked:?} was sent again, and has another answer"),
            }
        }
    }
}
