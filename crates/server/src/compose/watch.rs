//! Looking at the backends of everyone: all of them before a start, and again and again while the server runs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::{
    backend::{Backend, Trouble},
    embedded::EMBEDDED,
    router::{Router, everyones},
};
use crate::{
    needs::{CONTROL, KINDS},
    startup::Missing,
    web::{BackendState, BackendStates},
};

/// Backends are asked this often whether they serve.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How long one may take to say so.
const CHECK_MAX: Duration = Duration::from_secs(12);

/// A backend, with the kinds that it serves for everyone.
struct Serving {
    backend: Arc<Backend>,
    kinds: Vec<&'static str>,
}

/// What was found out about one.
struct Found {
    serving: Serving,
    answer: Result<(), Trouble>,
}

/// Every backend of the rows for everyone, asked at once; and the rows that lead nowhere.
async fn look(router: &Router) -> (Vec<Found>, Vec<String>) {
    let (mut serving, mut astray) = (Vec::<Serving>::new(), Vec::new());
    for kind in KINDS {
        for place in everyones(kind) {
            let backend = match router.serve(kind, &place).await {
                Ok(served) => served.backend,
                Err(error) => {
                    astray.push(format!("{}: {error}", kind.name));
                    continue;
                }
            };
            match serving
                .iter_mut()
                .find(|it| Arc::ptr_eq(&it.backend, &backend))
            {
                Some(known) if known.kinds.last() == Some(&kind.name) => {}
                Some(known) => known.kinds.push(kind.name),
                None => serving.push(Serving {
                    backend,
                    kinds: vec![kind.name],
                }),
            }
        }
    }
    let asked = serving.into_iter().map(|serving| async {
        let answer = serving.backend.check(CHECK_MAX).await;
        Found { serving, answer }
    });
    (join_all(asked).await, astray)
}

/// Notes every backend of the rows for everyone that does not serve.
pub(super) async fn require(router: &Router, missing: &mut Missing) {
    for Found { serving, answer } in look(router).await.0 {
        // The registry's own check has named what is wrong with a row.
        if let Err(Trouble::Backend(why)) = answer {
            let (name, kinds) = (serving.backend.name(), serving.kinds.join(", "));
            missing.note(format!("the backend {name} of {kinds}: {why}"));
        }
    }
}

/// The states of all backends by their names, without the one in this process, which is asked directly.
fn states(found: Vec<Found>, astray: &[String]) -> Vec<BackendState> {
    let mut by_name: BTreeMap<&'static str, BackendState> = BTreeMap::new();
    for Found { serving, answer } in found {
        let name = serving.backend.name();
        if name == EMBEDDED {
            continue;
        }
        let state = by_name
            .entry(name)
            .or_insert_with(|| BackendState::of(name));
        state.vital |= serving.kinds.contains(&CONTROL);
        state.serves.extend(serving.kinds);
        state
            .faults
            .extend(answer.err().map(|it| it.text().to_owned()));
        let durability = serving.backend.durability().map(str::to_owned);
        state
            .durability
            .extend(durability.filter(|it| !state.durability.contains(it)));
    }
    if !astray.is_empty() {
        let mut routes = BackendState::of("routes");
        routes.faults = astray.to_vec();
        by_name.insert("routes", routes);
    }
    by_name.into_values().collect()
}

/// Looks now, and from now on in the background; readiness is told what was found last.
pub(super) async fn watch(router: Arc<Router>) -> (Arc<BackendStates>, AbortHandle) {
    let (found, astray) = look(&router).await;
    let told = Arc::new(BackendStates(Mutex::new(states(found, &astray))));
    let kept = Arc::clone(&told);
    let looking = tokio::spawn(async move {
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            let (found, astray) = look(&router).await;
            *kept.0.lock() = states(found, &astray);
        }
    });
    (told, looking.abort_handle())
}
