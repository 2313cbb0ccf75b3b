//! What the guard costs: requests per second of a guarded route beside a bare handler.
//!
//! Every request is the same and carries a verified HS256 token, the whole
//! context, a request id and a trace; the bare handler gets them too and does
//! not look. Memberships come from the control plane over the embedded engine; with the
//! profile `cloud`, from Firestore, looked up and remembered.

mod cold;
pub(crate) mod load;
pub(crate) mod serve;
mod standing;

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Result;

use crate::{
    ambient::scratch,
    server::{Member, Server},
    stats::{median, median_ratio},
    table::{Row, per_second},
    wire::http::request,
};
pub(crate) use cold::measure as measure_cloud;
use load::requests_per_s;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 40;
const ROUND: Duration = Duration::from_millis(300);
const TARGET: f64 = 0.8;

/// A route under load.
struct Subject {
    name: &'static str,
    addr: SocketAddr,
    request: Vec<u8>,
    target: Option<f64>,
    rates: Vec<f64>,
}

impl Subject {
    fn new(name: &'static str, addr: SocketAddr, member: &Member, path: &str) -> Self {
        Self {
            name,
            addr,
            request: request("GET", path, &headers(member), ""),
            target: None,
            rates: Vec::new(),
        }
    }

    fn rate(&self) -> f64 {
        median(self.rates.iter().copied())
    }
}

/// Measures all routes in interleaved rounds; the first is the baseline.
///
/// # Errors
/// When a server does not start or an answer is not 200.
pub(crate) fn measure(binary: &Path) -> Result<Vec<Row>> {
    let folder = scratch()?;
    let house = standing::embedded(&folder.path().join("control"))?;
    let server = Server::start(binary, &folder.path().join("data"))?;
    let mut subjects = [
        Subject::new(
            "bare actix handler",
            serve::bare()?,
            &house.member,
            serve::PATH,
        ),
        Subject {
            target: Some(TARGET),
            ..Subject::new(
                "guarded: Routes and Guard",
                serve::guarded(house.guard.clone())?,
                &house.member,
                serve::PATH,
            )
        },
        Subject::new(
            "guarded, with the edge layer",
            serve::edged(house.guard)?,
            &house.member,
            serve::PATH,
        ),
        Subject::new(
            "full server stack, GET /chat/threads",
            server.addr,
            &server.member,
            "/chat/threads",
        ),
    ];
    load_all(&mut subjects)?;
    Ok(rows(&subjects))
}

/// Loads each route in turn, round after round.
fn load_all(subjects: &mut [Subject]) -> Result<()> {
    eprintln!("guard: {ROUNDS} rounds of {} routes", subjects.len());
    for _ in 0..ROUNDS {
        for subject in &mut *subjects {
            let rate = requests_per_s(subject.addr, &subject.request, CONNECTIONS, ROUND)?;
            subject.rates.push(rate);
        }
    }
    Ok(())
}

fn rows(subjects: &[Subject]) -> Vec<Row> {
    let baseline = subjects.first().map_or(&[][..], |subject| &subject.rates);
    let detail = format!("{CONNECTIONS} connections");
    let row = |subject: &Subject| {
        let rate = per_second(subject.rate());
        Row::new("guard", subject.name, rate, detail.clone())
    };
    let compared = |subject: &Subject| {
        let ratio = median_ratio(&subject.rates, baseline);
        row(subject).compared(ratio, subject.target)
    };
    let others = subjects.iter().skip(1).map(compared);
    subjects
        .first()
        .map(row)
        .into_iter()
        .chain(others)
        .collect()
}

/// Credential, context and ids, as a careful client sends them.
fn headers(member: &Member) -> String {
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    format!("{}x-request-id: bench-1\r\n{trace}", member.headers())
}
