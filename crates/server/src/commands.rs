//! What each command does.

use std::{fs::OpenOptions, io::Write, sync::Arc, time::Duration};

use anyhow::Context;
use control::{SecretRef, Secrets};
use serde_json::{Value, json};

use crate::{
    ambient::{SystemEntropy, environment},
    audit_offline, banner, canvas_offline,
    cli::{BackupArgs, Cli, Command, ConfigArgs, DevArgs, InitArgs, Profile, TokenArgs},
    compose::{self, Composed, profile},
    config::Config,
    dev::{self, Facts},
    routes_command,
    setup::{Folder, reference},
    telemetry::Telemetry,
    web,
};

/// Runs a command.
///
/// # Errors
/// Whatever ended it; [`StartupError`](crate::StartupError) if it could not start.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Dev(args) => develop(args).await,
        Command::Serve(args) => serve(args).await,
        Command::Init(args) => init(args).await,
        Command::Check(args) => check(args).await,
        Command::Token(args) => token(args).await,
        Command::Backup(args) => backup(args).await,
        Command::Migrate(args) => print(&routes_command::migrate(args).await?),
        Command::Routes(command) => print(&routes_command::run(command).await?),
        Command::Audit(command) => print(&audit_offline::run(command).await?),
        Command::Canvas(command) => print(&canvas_offline::run(command).await?),
    }
}

async fn develop(args: DevArgs) -> anyhow::Result<()> {
    let (folder, config) = dev::configure(&args)?;
    let telemetry = Telemetry::start(&config)?;
    let seeds = profile::embedded(&config)?;
    let composed = Composed::new(&config, telemetry.prometheus(), Some(&seeds)).await?;
    let composed = Arc::new(composed);
    let residents = dev::settle(&composed, &folder).await?;
    let serving = web::start(composed, config.listen, &config.http, false)?;
    let url = format!("http://{}", serving.address);
    let told = async {
        let welcome = dev::greet(&url, &residents).await?;
        let bootstrap_key = folder.bootstrap_key(&SystemEntropy)?;
        let facts = Facts {
            url: url.clone(),
            bootstrap_key,
            residents,
            welcome,
        };
        print(&if args.json {
            facts.to_json().to_string()
        } else {
            banner::text(&facts, &folder.path)
        })
    };
    let (served, told) = tokio::join!(serving.run(), told);
    told.and(served)
}

async fn serve(args: ConfigArgs) -> anyhow::Result<()> {
    let config = load(&args)?;
    let mut telemetry = Telemetry::start(&config)?;
    let composed = Composed::new(&config, telemetry.prometheus(), None).await?;
    telemetry.send(&composed.manifest())?;
    let traced = config.telemetry.is_some();
    let serving = web::start(Arc::new(composed), config.listen, &config.http, traced)?;
    tracing::info!(address = %serving.address, "listening");
    let served = serving.run().await;
    telemetry.close().await;
    served
}

fn load(args: &ConfigArgs) -> anyhow::Result<Config> {
    let mut config = Config::load(&args.config)?;
    config.listen = args.listen.unwrap_or(config.listen);
    config.data = args.data.clone().unwrap_or(config.data);
    Ok(config)
}

async fn init(args: InitArgs) -> anyhow::Result<()> {
    let file = args.config.display();
    if args.config.exists() {
        anyhow::bail!("the configuration {file} exists, and is not overwritten");
    }
    let folder = Folder::prepare(&args.data)?;
    let bootstrap_key = reference(&folder.secret("bootstrap.key", &SystemEntropy)?);
    let mut config = folder.config(&args.issuer, bootstrap_key, &SystemEntropy)?;
    config.listen = args.listen;
    let seeds = match args.profile {
        Profile::Embedded => profile::embedded(&config)?,
        Profile::Cloud => profile::cloud(&mut config, &args.cloud)?,
    };
    compose::check(&config, Some(&seeds)).await?;
    let text = toml::to_string_pretty(&config)?;
    // Whoever was faster meanwhile keeps theirs.
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.config)
        .and_then(|mut created| created.write_all(text.as_bytes()));
    written.with_context(|| format!("the configuration {file} cannot be written"))?;
    print(&format!(
        "wrote {file}\nserve it with: tenantry serve --config {file}"
    ))
}

async fn check(args: ConfigArgs) -> anyhow::Result<()> {
    let config = load(&args)?;
    compose::check(&config, None).await?;
    print("ok: every route, backend and secret is there")
}

async fn token(args: TokenArgs) -> anyhow::Result<()> {
    let reference: SecretRef = args.password.parse()?;
    let password = Secrets::new(environment).fetch(&reference).await?;
    let password = std::str::from_utf8(password.expose()).context("the password is not UTF-8")?;
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()?;
    let body = json!({"email": args.email, "password": password});
    let response = client
        .post(format!("{}/auth/login", args.url))
        .json(&body)
        .send()
        .await?;
    let status = response.status();
    let answer: Value = response.json().await?;
    match answer.get("access_token").and_then(Value::as_str) {
        Some(token) if status.is_success() => print(token),
        _ => anyhow::bail!(
            "the server refused: {status} {}",
            answer
                .get("detail")
                .and_then(Value::as_str)
                .unwrap_or_default()
        ),
    }
}

async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let (data, file) = (args.data, args.file);
    let shown = file.display().to_string();
    tokio::task::spawn_blocking(move || compose::backup(&data, &file)).await??;
    print(&format!("wrote {shown}"))
}

/// Prints what the command was asked for.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}
