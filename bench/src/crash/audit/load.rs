//! Writers of mutations: each sends one after the other until the server is gone.

use std::{net::SocketAddr, thread::sleep, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    server::Member,
    wire::http::{Connection, Response},
};

/// How long a writer waits that was told it writes too fast.
const THROTTLED_PAUSE: Duration = Duration::from_millis(100);
/// How often the checkpoint is asked for.
const WATCH_PAUSE: Duration = Duration::from_millis(20);
/// A member of the tenant, who cannot be added to it again; one of them is in each.
const MEMBERS: [&str; 2] = ["ada@north.example", "bob@south.example"];

/// A mutation that was answered.
pub(super) struct Answered {
    /// The id of its request.
    pub(super) request: String,
    /// Where its record is; `None` when the answer said that it is degraded.
    pub(super) seq: Option<u64>,
    /// How it ended, as its record must say.
    pub(super) outcome: String,
}

/// A request that changes something.
struct Mutation {
    method: &'static str,
    path: String,
    body: Value,
}

/// The `n`th mutation of the writer `name`: of streams, of the control plane, and one that is refused.
fn mutation(member: &Member, at: usize, name: &str, n: u64) -> Mutation {
    // The thread that the mutation before made, or one that is there.
    let (method, path, body) = match n % 4 {
        0 => (
            "POST",
            "/chat/threads".to_owned(),
            json!({"thread_id": format!("th_{name}-{n}")}),
        ),
        1 => (
            "POST",
            format!("/chat/threads/th_{name}-{}/messages", n - 1),
            json!({"data": {"name": name}}),
        ),
        2 => (
            "PATCH",
            format!("/control/projects/{}", member.project),
            json!({"name": format!("{name} {n}")}),
        ),
        _ => (
            "POST",
            "/control/members".to_owned(),
            json!({"email": MEMBERS.get(at), "role": "viewer"}),
        ),
    };
    Mutation { method, path, body }
}

/// Mutates in the tenant `at` until the server is gone.
///
/// # Errors
/// When an answer has no place in the log and does not say that it is degraded.
pub(super) fn write(
    addr: SocketAddr,
    member: &Member,
    at: usize,
    name: &str,
) -> Result<Vec<Answered>> {
    let mut answered = Vec::new();
    let Ok(mut connection) = Connection::open(addr) else {
        return Ok(answered);
    };
    for n in 0.. {
        let request = format!("{name}-{n}");
        let headers = format!("{}x-request-id: {request}\r\n", member.headers());
        let Mutation { method, path, body } = mutation(member, at, name, n);
        let sent = connection.call(method, &path, &headers, &body.to_string());
        let Ok(response) = sent else { break };
        let throttled = response.status == 429;
        answered.push(account(request, &response)?);
        if throttled {
            sleep(THROTTLED_PAUSE);
        }
    }
    Ok(answered)
}

fn account(request: String, response: &Response) -> Result<Answered> {
    let said = String::from_utf8_lossy(&response.body);
    let code = || {
        let problem: Value = serde_json::from_slice(&response.body).ok()?;
        Some(problem.get("code")?.as_str()?.to_owned())
    };
    let outcome = match response.status {
        200..300 => "done".to_owned(),
        400..500 => format!("refused:{}", code().context("a refusal without a code")?),
        status => bail!("{request} was answered {status}: {said}"),
    };
    let degraded = response.header("x-audit-status") == Some("degraded");
    let seq = match response.header("x-audit-seq") {
        Some(seq) => Some(seq.parse()?),
        None if degraded => None,
        None => bail!("{request} ended {outcome} without a place in the log: {said}"),
    };
    Ok(Answered {
        request,
        seq,
        outcome,
    })
}

/// Asks for the checkpoint until the server is gone; gives the last one.
pub(super) fn watch(addr: SocketAddr) -> Option<String> {
    let mut last = None;
    let mut connection = Connection::open(addr).ok()?;
    while let Ok(response) = connection.call("GET", "/audit/checkpoint", "", "") {
        if response.status == 200 {
            last = String::from_utf8(response.body).ok();
        }
        sleep(WATCH_PAUSE);
    }
    last
}
