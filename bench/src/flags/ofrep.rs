//! OFREP single evaluations over HTTP, beside a bare handler that answers as much.

use std::{net::SocketAddr, path::Path, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;

use super::SUBJECT;
use crate::{
    ambient::scratch,
    guard::{load::requests_per_s, serve::serve},
    server::{Member, Server},
    stats::{median, median_ratio},
    table::{Row, per_second},
    wire::http::{Connection, request},
};

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 30;
const ROUND: Duration = Duration::from_millis(300);
const PATH: &str = "/ofrep/v1/evaluate/flags/new-checkout";
const FLAG: &str =
    r#"{"rules":[{"when":[{"attribute":"plan","op":"in","values":["pro","team"]}],"rollout":50}]}"#;
const QUESTION: &str = r#"{"context":{"targetingKey":"u_7","plan":"pro"}}"#;

/// Measures both in interleaved rounds; the bare handler is the baseline.
///
/// # Errors
/// When a server does not start or an answer is not 200.
pub(super) fn measure(binary: &Path) -> Result<Vec<Row>> {
    let folder = scratch()?;
    let server = Server::start(binary, &folder.path().join("data"))?;
    let member = &server.member;
    let mut connection = Connection::open(server.addr)?;
    connection
        .call("PUT", "/flags/new-checkout", &member.headers(), FLAG)?
        .json(201)?;
    let answer = connection
        .call("POST", PATH, &member.headers(), QUESTION)?
        .json(200)?;
    let bare = bare(answer.to_string())?;
    let mut rates: [Vec<f64>; 2] = Default::default();
    eprintln!("flags: {ROUNDS} rounds of OFREP");
    for _ in 0..ROUNDS {
        for (addr, rates) in [bare, server.addr].into_iter().zip(&mut rates) {
            rates.push(requests_per_s(addr, &question(member), CONNECTIONS, ROUND)?);
        }
    }
    let [bare, ours] = &rates;
    let row = |what: &str, rates: &[f64]| {
        let rate = per_second(median(rates.iter().copied()));
        Row::new(SUBJECT, what, rate, format!("{CONNECTIONS} connections"))
    };
    Ok(vec![
        row("bare actix handler, the same answer", bare),
        row("OFREP single evaluation, full server", ours).compared(median_ratio(ours, bare), None),
    ])
}

fn question(member: &Member) -> Vec<u8> {
    request("POST", PATH, &member.headers(), QUESTION)
}

/// A handler that reads the body and answers `answer`.
fn bare(answer: String) -> Result<SocketAddr> {
    serve(move |listener| {
        let server = HttpServer::new(move || {
            let answer = answer.clone();
            let handler = move |_: web::Bytes| {
                let answer = answer.clone();
                async move {
                    HttpResponse::Ok()
                        .content_type("application/json")
                        .body(answer)
                }
            };
            App::new().route(PATH, web::post().to(handler))
        });
        Ok(server.workers(1).listen(listener)?.run())
    })
}
