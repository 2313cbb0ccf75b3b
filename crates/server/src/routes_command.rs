//! `tenantry routes` and `tenantry migrate`: the routing registry, for who has the control store itself.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Context as _;
use control::{Control, ResourceKind, Route, RoutePlace, RouteRow, RouteTarget, SecretRef};
use serde_json::{Map, Value};
use store::PageRequest;

use crate::{
    cli::{MigrateArgs, PlaceArgs, RoutesCommand, SetArgs},
    compose::{self, Moved, Order},
    config::Config,
    needs,
    startup::Missing,
    telemetry::Telemetry,
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
        RoutesCommand::Remove(args) => {
            let config = Config::load(&args.registry.config)?;
            remove(&*compose::registry(&config).await?, &args.place).await
        }
        RoutesCommand::Check(args) => {
            compose::check_routes(&Config::load(&args.config)?).await?;
            Ok("ok: every row and backend is there".to_owned())
        }
    }
}

/// Moves a kind; what is printed.
///
/// # Errors
/// Why nothing was switched.
pub(crate) async fn migrate(args: MigrateArgs) -> anyhow::Result<String> {
    let config = Config::load(&args.registry.config)?;
    // It may take hours, and says on standard error how far it is.
    Telemetry::start(&config)?;
    let kind = needs::named(&args.kind);
    let kind = kind.with_context(|| format!("{} is no kind of resource", args.kind))?;
    let to = args.to.as_deref();
    let order = Order {
        kind,
        tenant: args.tenant.as_deref().map(str::parse).transpose()?,
        target: to
            .map(|to| target(to, &args.target, &args.secrets))
            .transpose()?,
    };
    let moved = compose::migrate(&config, &order).await?;
    Ok(told(&order, to, &moved))
}

fn told(order: &Order, to: Option<&str>, moved: &Moved) -> String {
    let Moved { copied, kept, .. } = moved;
    let (kind, what) = (order.kind.name, order.kind.port.holds());
    let mut told = match to {
        Some(to) => format!("{kind} is served by {to}: {copied} {what} copied, {kept} were there"),
        None => format!("writes to {kind} are let through"),
    };
    if let Some(why) = &moved.unfinished {
        told.push_str(&format!(
            "\ndo not route {kind} back to where it was without `migrate`: what was left there still looks current ({why})"
        ));
    }
    told
}

fn target(backend: &str, config: &str, secrets: &[String]) -> anyhow::Result<RouteTarget> {
    let secrets = secrets.iter().map(|secret| named_secret(secret));
    Ok(RouteTarget {
        backend: backend.parse()?,
        config: object(config).context("--target")?,
        secrets: secrets.collect::<anyhow::Result<_>>()?,
    })
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

/// A row on a line: kind, tenant, environment, backend, what it is told, where its secrets are, and where it led before.
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
    for former in &row.former {
        let config = serde_json::to_string(&former.target.config)?;
        let (backend, until) = (&former.target.backend, former.until);
        write!(line, " until {until} also {backend} {config}")?;
    }
    Ok(line)
}

async fn set(control: &Control, args: &SetArgs) -> anyhow::Result<String> {
    let (kind, place) = parsed(&args.place)?;
    let target = target(&args.backend, &args.target, &args.secrets)?;
    let row = RouteRow::new(kind, place, target);
    let mut missing = Missing::default();
    for found in control.check_route(&row).await.problems {
        missing.note(format!("the route of {}: {}", found.kind, found.problem));
    }
    missing.finish()?;
    let read = control.routes().row(&row.kind, &row.place).await?;
    // A move that is under way goes on.
    let row = match read.as_ref().map(|read| read.value.clone()) {
        Some(before) => RouteRow {
            target: row.target,
            ..before
        },
        None => row,
    };
    control.routes().store(&row, read.as_ref()).await?;
    Ok(format!("set the route of {}", row.kind))
}

async fn remove(control: &Control, place: &PlaceArgs) -> anyhow::Result<String> {
    let (kind, place) = parsed(place)?;
    let read = control.routes().row(&kind, &place).await?;
    let read = read.with_context(|| format!("{kind} has no row for this place"))?;
    control.routes().remove(&read).await?;
    Ok(format!("removed the route of {kind}"))
}

fn parsed(place: &PlaceArgs) -> anyhow::Result<(ResourceKind, RoutePlace)> {
    let kind = place.kind.parse()?;
    let place = RoutePlace {
        tenant: place.tenant.as_deref().map(str::parse).transpose()?,
        env: place.env.as_deref().map(str::parse).transpose()?,
    };
    Ok((kind, place))
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
