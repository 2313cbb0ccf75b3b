//! Whether the registry covers what a deployment needs: every fault at once.

use std::collections::BTreeSet;

use identity::Env;

use super::{Backend, Registry, ResourceKind, Route, RouteId, RoutePlace};
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

impl Registry {
    /// Checks every row, and that every kind of `required` has one for each environment.
    ///
    /// Reads the whole registry: for startup and for operators.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`]; faults of rows are in the report.
    pub async fn check(
        &self,
        required: &[ResourceKind],
        known: &[Backend],
    ) -> Result<CheckReport, ControlError> {
        let mut report = CheckReport::default();
        let mut covered = BTreeSet::new();
        let mut next = Some(PageRequest::largest());
        while let Some(request) = next {
            let page = self.page(&request).await?;
            for route in &page.items {
                self.check_row(route, known, &mut report).await;
                if route.row.place.tenant.is_none() {
                    covered.insert(route.id.to_string());
                }
            }
            next = request.following(&page);
        }
        for kind in required {
            missing(kind, &covered, &mut report);
        }
        Ok(report)
    }

    async fn check_row(&self, route: &Route, known: &[Backend], report: &mut CheckReport) {
        let row = &route.row;
        let target = &row.target;
        let faults = match known.iter().find(|backend| backend.is(&target.backend)) {
            Some(backend) => backend.faults(&row.kind, target),
            None => vec![format!("the backend {} is not built in", target.backend)],
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

/// Reports the environments in which a tenant without rows of its own would have none.
fn missing(kind: &ResourceKind, covered: &BTreeSet<String>, report: &mut CheckReport) {
    let has = |place: &RoutePlace| covered.contains(&RouteId::of(kind, place).to_string());
    let everywhere = RoutePlace::default();
    if has(&everywhere) {
        return;
    }
    let places = Env::ALL.map(|env| RoutePlace {
        tenant: None,
        env: Some(env),
    });
    if places.iter().all(|place| !has(place)) {
        return report.add(kind, &everywhere, "no row");
    }
    for place in places.iter().filter(|place| !has(place)) {
        report.add(kind, place, "no row");
    }
}
