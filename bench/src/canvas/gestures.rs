//! A flood of gestures, and what it does to those who commit to the same canvas.
//!
//! Each actor is a user of its own, with a socket that sends as often as a screen is drawn. One more
//! client commits over HTTP, one batch after the other; rounds with and without the flood take turns.
//! Those who flood and those who are told of it run in the measuring process, which shares the cores
//! with the server.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::SUBJECT;
use crate::{
    server::{Member, Server},
    stats::Latencies,
    table::{Row, per_second},
    wire::{
        frame::{self, Frames, encode},
        http::{Connection, request, status},
    },
};

const CANVAS: &str = "cv_flood";
const ACTORS: usize = 100;
const PER_SECOND: u32 = 60;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 6;
/// How long a flood has begun before it is measured, and has ended before a quiet round is.
const SETTLING: Duration = Duration::from_millis(500);
const PASSWORD: &str = "correct horse battery staple";
const READ_BYTES: usize = 16 * 1024;

/// What was sent and told, by and to all.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    told: AtomicU64,
}

/// Measures.
pub(super) async fn measure(binary: &Path) -> Result<Vec<Row>> {
    let folder = crate::ambient::scratch()?;
    let server = Server::start(binary, &folder.path().join("data"))?;
    let (addr, owner) = (server.addr, server.member.clone());
    eprintln!("canvas: {ACTORS} actors sign up");
    let actors = tokio::task::spawn_blocking(move || actors(addr, &owner)).await??;
    let counts = Arc::new(Counts::default());
    let (flood, flooding) = watch::channel(false);
    let mut sockets = JoinSet::new();
    for actor in actors {
        let (read, write) = open(addr, &actor).await?;
        sockets.spawn(listen(read, Arc::clone(&counts)));
        sockets.spawn(gesture(write, flooding.clone(), Arc::clone(&counts)));
    }
    eprintln!("canvas: {ROUNDS} rounds of commits with gestures, and without");
    let (mut quiet, mut flooded) = (Latencies::new(), Latencies::new());
    let (mut client, mut elapsed) = (Client::new(addr, &server.member), Duration::ZERO);
    let (mut sent, mut told) = (0, 0);
    for _ in 0..ROUNDS {
        for (is_flood, latencies) in [(false, &mut quiet), (true, &mut flooded)] {
            flood.send_replace(is_flood);
            tokio::time::sleep(SETTLING).await;
            let (before, started) = (counts.both(), Instant::now());
            client = client.commit_for(ROUND, latencies).await?;
            if is_flood {
                let (after, took) = (counts.both(), started.elapsed());
                (sent, told) = (sent + after.0 - before.0, told + after.1 - before.1);
                elapsed += took;
            }
        }
    }
    sockets.abort_all();
    let rate = |count: u64| per_second(count as f64 / elapsed.as_secs_f64());
    let p99 = |latencies: &Latencies| latencies.quantile_ms(0.99);
    Ok(vec![
        row("commits over HTTP, one client, no gestures", &quiet),
        row(
            &format!(
                "the same, {ACTORS} actors × {PER_SECOND} gestures/s; the ratio is of the p99"
            ),
            &flooded,
        )
        .compared(p99(&flooded) / p99(&quiet), Some(1.1)),
        Row::new(
            SUBJECT,
            "gestures sent in that time",
            rate(sent),
            format!("heard {} times by {ACTORS} sockets", rate(told)),
        ),
    ])
}

impl Counts {
    fn both(&self) -> (u64, u64) {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (count(&self.sent), count(&self.told))
    }
}

fn row(what: &str, latencies: &Latencies) -> Row {
    let (p50, p99) = (latencies.quantile_ms(0.5), latencies.quantile_ms(0.99));
    Row::new(
        SUBJECT,
        what,
        format!("p99 {p99:.1} ms"),
        format!("p50 {p50:.1} ms"),
    )
}

/// Registers the canvas, and makes users who are members of its tenant.
fn actors(addr: SocketAddr, owner: &Member) -> Result<Vec<Member>> {
    let mut connection = Connection::open(addr)?;
    let canvas = json!({"canvas_id": CANVAS}).to_string();
    let made = connection.call("POST", "/canvas", &owner.headers(), &canvas)?;
    made.json(201)?;
    let mut actors = Vec::with_capacity(ACTORS);
    for n in 0..ACTORS {
        let email = format!("actor{n}@flood.example");
        let account =
            json!({"email": email, "password": PASSWORD, "tenant_name": format!("Actor {n}")});
        let signed = connection.call("POST", "/auth/signup", "", &account.to_string())?;
        let signed = signed.json(201)?;
        let token = signed.get("access_token").and_then(Value::as_str);
        let member = json!({"email": email, "role": "member"}).to_string();
        let added = connection.call("POST", "/control/members", &owner.headers(), &member)?;
        ensure!(
            matches!(added.status, 200 | 201),
            "a member: {}",
            added.status
        );
        actors.push(Member {
            token: token.context("an access token")?.to_owned(),
            ..owner.clone()
        });
    }
    Ok(actors)
}

/// Opens a socket.
async fn open(addr: SocketAddr, member: &Member) -> Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let headers = format!("{}{}", member.headers(), frame::UPGRADE);
    let path = format!("/ws/canvas/{CANVAS}");
    stream
        .write_all(&request("GET", &path, &headers, ""))
        .await?;
    let mut head = Vec::new();
    // Byte by byte, because frames may follow at once.
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    ensure!(status(&head) == Some(101), "no socket: {head}");
    Ok(stream.into_split())
}

/// Reads what is told, and counts the frames with gestures.
async fn listen(mut read: OwnedReadHalf, counts: Arc<Counts>) -> Result<()> {
    let (mut frames, mut buffer) = (Frames::default(), vec![0; READ_BYTES]);
    loop {
        let count = read.read(&mut buffer).await?;
        ensure!(count > 0, "the server ended a socket");
        frames.feed(buffer.get(..count).unwrap_or_default());
        while let Some((opcode, payload)) = frames.next()? {
            if opcode == frame::TEXT && payload.starts_with(br#"{"op":"gesture""#) {
                counts.told.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Sends gestures while there is a flood.
async fn gesture(
    mut write: OwnedWriteHalf,
    mut flooding: watch::Receiver<bool>,
    counts: Arc<Counts>,
) -> Result<()> {
    let mut ticks = interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 0_u64.. {
        ticks.tick().await;
        if !*flooding.borrow_and_update() {
            flooding.wait_for(|is_flood| *is_flood).await?;
        }
        let data =
            json!({"op": "gesture", "kind": "pointer", "data": {"x": n % 1920, "y": n % 1080}});
        let sent = encode(frame::TEXT, data.to_string().as_bytes());
        write.write_all(&sent).await?;
        counts.sent.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Who commits.
struct Client {
    addr: SocketAddr,
    member: Member,
    head: u64,
}

impl Client {
    fn new(addr: SocketAddr, member: &Member) -> Self {
        Self {
            addr,
            member: member.clone(),
            head: 0,
        }
    }

    /// Commits one batch after the other, on a thread of its own.
    async fn commit_for(mut self, length: Duration, latencies: &mut Latencies) -> Result<Self> {
        let (client, round) = tokio::task::spawn_blocking(move || {
            let mut round = Latencies::new();
            let mut connection = Connection::open(self.addr)?;
            let end = Instant::now() + length;
            while Instant::now() < end {
                let started = Instant::now();
                self.commit(&mut connection)?;
                round.record(started.elapsed());
            }
            anyhow::Ok((self, round))
        })
        .await??;
        latencies.merge(&round);
        Ok(client)
    }

    fn commit(&mut self, connection: &mut Connection) -> Result<()> {
        // One node is made, and then changed.
        let (kind, args) = match self.head {
            0 => ("node.create", json!({"node": "n", "type": "note"})),
            head => ("node.update", json!({"node": "n", "set": {"n": head}})),
        };
        let body = json!({
            "base_rev": self.head,
            "client_id": "committer",
            "batch_id": self.head.to_string(),
            "commands": [{"cmd_id": "1", "kind": kind, "args": args}],
        });
        let path = format!("/canvas/{CANVAS}/commands");
        let done = connection.call("POST", &path, &self.member.headers(), &body.to_string())?;
        let done = done.json(200)?;
        self.head = done
            .get("rev")
            .and_then(Value::as_u64)
            .context("a revision")?;
        Ok(())
    }
}
