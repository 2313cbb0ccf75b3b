//! `tenantry routes`: the routing registry, for who has the control store itself.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Context as _;
use control::{Control, Route, RoutePlace, RouteRow, RouteTarget, SecretRef};
use serde_json::{Map, Value};
use store::PageRequest;

use crate::{
    cli::{RoutesCommand, SetArgs},
    compose,
    config::Config,
    startup::Missing,
};

/// Runs a command; what it prints.
///
/// # Errors
/// [`StartupError`](crate::StartupError) names every row, backend and secret that is not in order.
pub(crate) async fn run(command: RoutesCommand) -> anyhow::Result<String> {
    match command {
        RoutesCommand::List(args) => {
            let config = Config::load(&args.config)?;
            list(&*compose::registry(&config).await?).await
        }
        RoutesCommand::Set(args) => {
            let config = Config::load(&args.registry.config)?;
            set(&*compose::registry(&config).await?, &args).await
        }
        RoutesCommand::Check(args) => {
            compose::check_routes(&Config::load(&args.config)?).await?;
            Ok("ok: every row and backend is there".to_owned())
        }
    }
}

async fn list(control: &Control) -> anyhow::Result<String> {
    let (mut lines, mut next) = (String::new(), Some(PageRequest::largest()));
    while let Some(request) = next {
        let page = control.routes().rows(&request).await?;
        for route in &page.items {
            writeln!(lines, "{}", line(route)?)?;
        }
        next = request.following(&page);
    }
    Ok(lines.trim_end().to_owned())
}

/// A row on a line: kind, tenant, environment, backend, what it is told, and where its secrets are.
fn line(Route { row, .. }: &Route) -> anyhow::Result<String> {
    let (place, target) = (&row.place, &row.target);
    let config = serde_json::to_string(&target.config)?;
    let mut line = format!(
        "{} {} {} {} {config}",
        row.kind,
        place.tenant_text(),
        place.env_text(),
        target.backend
    );
    for (name, reference) in &target.secrets {
        write!(line, " {name}={reference}")?;
    }
    if row.held {
        line.push_str(" held");
    }
    Ok(line)
}

async fn set(control: &Control, args: &SetArgs) -> anyhow::Result<String> {
    let place = RoutePlace {
        tenant: args.tenant.as_deref().map(str::parse).transpose()?,
        env: args.env.as_deref().map(str::parse).transpose()?,
    };
    let secrets = args.secrets.iter().map(|secret| named_secret(secret));
    let target = RouteTarget {
        backend: args.backend.parse()?,
        config: object(&args.target).context("--target")?,
        secrets: secrets.collect::<anyhow::Result<_>>()?,
    };
    let row = RouteRow::new(args.kind.parse()?, place, target);
    let mut missing = Missing::default();
    for found in control.check_route(&row).await.problems {
        missing.note(format!("the route of {}: {}", found.kind, found.problem));
    }
    missing.finish()?;
    let read = control.routes().row(&row.kind, &row.place).await?;
    let held = read.as_ref().is_some_and(|read| read.value.held);
    let row = RouteRow { held, ..row };
    control.routes().store(&row, read.as_ref()).await?;
    Ok(format!("set the route of {}", row.kind))
}

/// A JSON object.
///
/// # Errors
/// When the text is none.
pub(crate) fn object(text: &str) -> anyhow::Result<Map<String, Value>> {
    serde_json::from_str(text).context("is no JSON object")
}

/// `NAME=REFERENCE`.
///
/// # Errors
/// When the text is neither; it is not repeated, because it might be the secret itself.
pub(crate) fn named_secret(text: &str) -> anyhow::Result<(String, SecretRef)> {
    let (name, reference) = text
        .split_once('=')
        .context("a secret is NAME=REFERENCE, such as password=env:REDIS_PASSWORD")?;
    let reference = reference.parse();
    Ok((
        name.to_owned(),
        reference.with_context(|| format!("the secret {name}"))?,
    ))
}

/// The secrets of one backend among those of all, whose names begin with it.
///
/// # Errors
/// When one is not `BACKEND.NAME=REFERENCE`.
pub(crate) fn secrets_of(
    backend: &str,
    all: &[String],
) -> anyhow::Result<BTreeMap<String, SecretRef>> {
    let of_backend = |text: &String| -> anyhow::Result<Option<(String, SecretRef)>> {
        let (name, reference) = named_secret(text)?;
        let (of, name) = name
            .split_once('.')
            .context("a secret is BACKEND.NAME=REFERENCE, such as redis.password=env:P")?;
        Ok((of == backend).then(|| (name.to_owned(), reference)))
    };
    let secrets = all.iter().map(of_backend).filter_map(Result::transpose);
    secrets.collect()
}
