//! Whether the registry covers what a deployment needs: every fault at once.

use std::collections::BTreeMap;

use identity::Env;

use super::{Backend, Breadth, Need, Registry, ResourceKind, RouteId, RoutePlace, RouteRow};
use crate::ControlError;
use store::PageRequest;

/// Faults that are reported; one more says that there are others.
const PROBLEMS_MAX: usize = 1000;

/// One fault. It names rows, backends and secret references, never values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryProblem {
    /// The kind of resource.
    pub kind: ResourceKind,
    /// For whom.
    pub place: RoutePlace,
    /// What is wrong.
    pub problem: String,
}

/// All faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// None, if all is well.
    pub problems: Vec<RegistryProblem>,
}

impl CheckReport {
    /// Whether the registry covers everything.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, kind: &ResourceKind, place: &RoutePlace, problem: impl Into<String>) {
        let problem = match self.problems.len() {
            ..PROBLEMS_MAX => problem.into(),
            PROBLEMS_MAX => "and more".to_owned(),
            _ => return,
        };
        self.problems.push(RegistryProblem {
            kind: kind.clone(),
            place: place.clone(),
            problem,
        });
    }
}

/// What rows are checked against.
struct Known<'a> {
    needs: &'a [Need],
    backends: &'a [Backend],
}

impl Known<'_> {
    fn need(&self, kind: &ResourceKind) -> Option<&Need> {
        self.needs.iter().find(|need| need.kind == *kind)
    }
}

impl Registry {
    /// Checks every row, and that every kind that is needed has one for each environment.
    ///
    /// Reads the whole registry: for startup and for operators.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`]; faults of rows are in the report.
    pub async fn check(
        &self,
        needs: &[Need],
        backends: &[Backend],
    ) -> Result<CheckReport, ControlError> {
        let known = Known { needs, backends };
        let mut report = CheckReport::default();
        let mut everyones = BTreeMap::new();
        let mut next = Some(PageRequest::largest());
        while let Some(request) = next {
            let page = self.rows(&request).await?;
            for route in &page.items {
                self.check_row(&route.row, &known, &mut report).await;
                if route.row.place.tenant.is_none() {
                    everyones.insert(route.id.to_string(), route.row.clone());
                }
            }
            next = request.following(&page);
        }
        for need in needs {
            missing(need, &everyones, &mut report);
        }
        for row in everyones.values() {
            astray(row, &everyones, &mut report);
        }
        Ok(report)
    }

    /// What is wrong with one row, before it is stored.
    pub(crate) async fn check_one(
        &self,
        row: &RouteRow,
        needs: &[Need],
        backends: &[Backend],
    ) -> CheckReport {
        let mut report = CheckReport::default();
        let known = Known { needs, backends };
        self.check_row(row, &known, &mut report).await;
        report
    }

    async fn check_row(&self, row: &RouteRow, known: &Known<'_>, report: &mut CheckReport) {
        let target = &row.target;
        if let Some(need) = known.need(&row.kind) {
            for fault in need.faults(&row.place, target) {
                report.add(&row.kind, &row.place, fault);
            }
        }
        let faults = match target.leader() {
            Ok(Some(_)) => return,
            Err(fault) => vec![fault],
            Ok(None) => match known.backends.iter().find(|it| it.is(&target.backend)) {
                Some(backend) => backend.faults(&row.kind, target),
                None => vec![format!("the backend {} is not built in", target.backend)],
            },
        };
        for fault in faults {
            report.add(&row.kind, &row.place, fault);
        }
        for (name, reference) in &target.secrets {
            if let Err(error) = self.secrets.fetch(reference).await {
                report.add(&row.kind, &row.place, format!("{name}: {error}"));
            }
        }
    }
}

/// The rows for everyone, by their ids.
type Everyones = BTreeMap<String, RouteRow>;

/// Reports the environments in which a tenant without rows of its own would have none.
fn missing(need: &Need, everyones: &Everyones, report: &mut CheckReport) {
    let kind = &need.kind;
    let has = |place: &RoutePlace| everyones.contains_key(&RouteId::of(kind, place).to_string());
    let everywhere = RoutePlace::default();
    if has(&everywhere) {
        return;
    }
    let places = Env::ALL.map(|env| RoutePlace {
        tenant: None,
        env: Some(env),
    });
    if need.breadth != Breadth::Env || places.iter().all(|place| !has(place)) {
        return report.add(kind, &everywhere, "no row");
    }
    for place in places.iter().filter(|place| !has(place)) {
        report.add(kind, place, "no row");
    }
}

/// Reports a row that is the same as one that is not there, or as one that is itself the same as another.
fn astray(row: &RouteRow, everyones: &Everyones, report: &mut CheckReport) {
    let Ok(Some(leader)) = row.target.leader() else {
        return;
    };
    let everywhere = RoutePlace::default();
    let places = [&row.place, &everywhere];
    let found = places.map(|place| everyones.get(&RouteId::of(&leader, place).to_string()));
    let fault = match found.into_iter().flatten().next() {
        None => format!("it is the same as {leader}, which has no row"),
        Some(found) if found.target.leader() != Ok(None) => {
            format!("it is the same as {leader}, which is itself the same as another")
        }
        Some(_) => return,
    };
    report.add(&row.kind, &row.place, fault);
}
