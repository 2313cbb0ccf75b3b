//! One budget, and the spenders of two processes, whose clocks are apart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    client::{Caller, Request},
    faults_clocks::another_ahead,
    process::Server,
    recipes::succeed,
    several::Cloud,
};

const CARDS: &str = "/nexus/cards";
const BUDGET: &str = "/gates/budgets/shared";
const PRICE: u64 = 7;
/// Is no multiple of the price.
const LIMIT: u64 = 400 * PRICE + 3;
/// Of each process.
const SPENDERS: usize = 64;
/// Cards after which one process is killed.
const MADE_BEFORE_THE_KILL: usize = 100;
/// How long the leases of a killed process may hold a part of the budget: they last 30 seconds.
const LEASES_MAX: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);

/// What was spent and what is reserved, which together is never more than there is.
async fn figures(node: &Server, caller: &Caller) -> (u64, u64) {
    let row = succeed(node, caller, Request::new("GET", BUDGET)).await;
    let figure = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("{row}"));
    let (spent, reserved) = (figure("spent_micros"), figure("reserved_micros"));
    assert!(spent + reserved <= LIMIT, "{row}");
    (spent, reserved)
}

/// How many cards there are.
async fn cards(node: &Server, caller: &Caller) -> u64 {
    let (mut count, mut after) = (0, String::new());
    loop {
        let page = Request::new("GET", format!("{CARDS}?limit=1000{after}"));
        let page = succeed(node, caller, page).await;
        count += page["items"].as_array().unwrap().len() as u64;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return count,
        }
    }
}

/// Waits until nothing is reserved any more: what was spent then is what the cards cost.
async fn reconciled(node: &Server, caller: &Caller) -> u64 {
    let deadline = Instant::now() + LEASES_MAX;
    loop {
        let (spent, reserved) = figures(node, caller).await;
        if reserved == 0 {
            assert_eq!(spent, cards(node, caller).await * PRICE);
            return spent;
        }
        assert!(Instant::now() < deadline, "{reserved} is still reserved");
        sleep(POLL).await;
    }
}

/// Spenders of one process, and how many cards they were told that they made.
#[derive(Default)]
struct Spending {
    spenders: JoinSet<()>,
    made: Arc<AtomicUsize>,
    /// Set before the process is killed: then no answer is an answer.
    gone: Arc<AtomicBool>,
}

impl Spending {
    /// All make cards at `node` until the budget says no.
    fn start(node: &Server, caller: &Caller) -> Self {
        let mut spending = Self::default();
        for _ in 0..SPENDERS {
            let (made, gone) = (Arc::clone(&spending.made), Arc::clone(&spending.gone));
            let (client, url) = (node.client.clone(), format!("{}{CARDS}", node.facts.url));
            let headers = caller.headers().to_vec();
            spending.spenders.spawn(async move {
                loop {
                    let mut request = client.post(&url).json(&json!({"title": "A card"}));
                    for (name, value) in &headers {
                        request = request.header(name, value);
                    }
                    let answer = request.send().await;
                    if gone.load(Ordering::SeqCst) {
                        return;
                    }
                    let answer = answer.expect("an answer");
                    let status = answer.status().as_u16();
                    let body: Value = answer.json().await.unwrap_or_default();
                    match (status, body["code"].as_str()) {
                        (201, _) => made.fetch_add(1, Ordering::SeqCst),
                        (402, Some("budget_exceeded")) => return,
                        // Too many at once for the counter: nothing was done.
                        (503, Some("backend_unavailable")) => continue,
                        _ => panic!("{status}: {body}"),
                    };
                }
            });
        }
        spending
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    async fn end(self) {
        self.spenders.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_never_overspent_by_two_processes_of_which_one_is_killed() {
    let cloud = Cloud::start().await;
    let [one] = cloud.nodes("").await;
    // Whose clock is ahead sees leases of the others end too early.
    let two = another_ahead(&one);
    let ada = Caller::resident(&one, 0);
    let row = json!({"action": "nexus.cards.create", "limit_micros": LIMIT,
        "price_micros": PRICE, "window": "total"});
    succeed(&one, &ada, Request::new("PUT", BUDGET).json(&row)).await;

    let (here, there) = (Spending::start(&one, &ada), Spending::start(&two, &ada));
    while here.made() + there.made() < MADE_BEFORE_THE_KILL {
        for node in [&one, &two] {
            figures(node, &ada).await;
        }
    }
    let spent_on_both = here.made() > 0 && there.made() > 0;
    assert!(spent_on_both, "{} and {}", here.made(), there.made());
    there.gone.store(true, Ordering::SeqCst);
    drop(two);
    let told = there.made();
    there.end().await;
    let made = Arc::clone(&here.made);
    let mut ending = Box::pin(here.end());
    while timeout(POLL, &mut ending).await.is_err() {
        figures(&one, &ada).await;
    }
    let told = told + made.load(Ordering::SeqCst);
    let mut spent = reconciled(&one, &ada).await;
    assert!(spent >= told as u64 * PRICE, "{spent} was spent on {told}");

    // What the killed one had reserved comes back, and is spent by others, down to what pays for no card.
    let three = another_ahead(&one);
    while LIMIT - spent >= PRICE {
        let (here, there) = (Spending::start(&one, &ada), Spending::start(&three, &ada));
        here.end().await;
        there.end().await;
        spent = reconciled(&three, &ada).await;
    }
    assert_eq!(figures(&one, &ada).await, (LIMIT / PRICE * PRICE, 0));
}
