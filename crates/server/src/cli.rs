//! The command line.

mod routes;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

pub use routes::{
    CloudArgs, MigrateArgs, PlaceArgs, Profile, RegistryArgs, RemoveArgs, RoutesCommand, SetArgs,
};

/// The guarded spine of a multi-tenant backend.
#[derive(Debug, Parser)]
#[command(name = "tenantry", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a durable development profile and print lines to try it with.
    Dev(DevArgs),
    /// Serve as a configuration file says.
    Serve(ConfigArgs),
    /// Create a data folder, keys, routes and a configuration file for it.
    Init(InitArgs),
    /// Check a configuration: every missing route, backend and secret at once.
    Check(ConfigArgs),
    /// Sign in to a running server and print an access token.
    Token(TokenArgs),
    /// Write a consistent copy of a data folder's store, also while it is served.
    Backup(BackupArgs),
    /// Show, change and check which backend serves what.
    #[command(subcommand)]
    Routes(RoutesCommand),
    /// Move a kind of resource to another engine, while reads go on.
    Migrate(MigrateArgs),
    /// Verify what an audit log gave out, without the server that did.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Verify what a canvas gave out, without the server that did.
    #[command(subcommand)]
    Canvas(CanvasCommand),
}

/// What can be done with a canvas without a server.
#[derive(Debug, Subcommand)]
pub enum CanvasCommand {
    /// Check a replay: every commit, and the state that each makes.
    Verify(VerifyReplayArgs),
}

/// Arguments of `canvas verify`.
#[derive(Debug, Args)]
pub struct VerifyReplayArgs {
    /// The replay.
    pub replay: PathBuf,
    /// The manifest hash that someone who is trusted has told; without it, that the commits are the
    /// canvas's own is known by the last one's hash alone.
    #[arg(long)]
    pub manifest: Option<String>,
}

/// What can be done with the audit log without a server.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check an export or a receipt against a trust file, and sum it up.
    Verify(VerifyArgs),
    /// Print the trust file for an installation's keys.
    Trust(TrustArgs),
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The export or receipt.
    pub export: PathBuf,
    /// Whose signatures are believed: a trust file, as docs/audit-format.md describes it.
    #[arg(long, default_value = "trust.json")]
    pub trust: PathBuf,
    /// A checkpoint that was kept earlier; what is checked must be of the same history.
    #[arg(long)]
    pub since: Option<PathBuf>,
}

/// Arguments of `audit trust`.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// References to the keys that sign, `env:NAME` or `file:/path`, as `PRIVATE+KEY+…` texts.
    #[arg(required = true)]
    pub keys: Vec<String>,
    /// A public key that signed before, `<origin>+<id>+<key>`.
    #[arg(long)]
    pub former: Vec<String>,
}

/// Arguments of `dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:7420")]
    pub listen: SocketAddr,
    /// Folder of the data; made if it is not there.
    #[arg(long, default_value = "tenantry-data")]
    pub data: PathBuf,
    /// Print the facts as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `serve` and `check`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The configuration file.
    #[arg(long)]
    pub config: PathBuf,
    /// Listen here instead of where the file says.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Use this data folder instead of the file's.
    #[arg(long)]
    pub data: Option<PathBuf>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The configuration file to write; it must not exist.
    #[arg(long, default_value = "tenantry.toml")]
    pub config: PathBuf,
    /// Folder of the data; made if it is not there.
    #[arg(long, default_value = "tenantry-data")]
    pub data: PathBuf,
    /// Address that the configuration listens on.
    #[arg(long, default_value = "127.0.0.1:7420")]
    pub listen: SocketAddr,
    /// `iss` of the tokens.
    #[arg(long, default_value = "https://tenantry.local")]
    pub issuer: String,
    /// Where everything is kept.
    #[arg(long, value_enum, default_value_t = Profile::Embedded)]
    pub profile: Profile,
    /// Where the profile `cloud` finds its backends.
    #[command(flatten)]
    pub cloud: CloudArgs,
}

/// Arguments of `token`.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7420")]
    pub url: String,
    /// Who signs in.
    #[arg(long)]
    pub email: String,
    /// Reference to the password: `env:NAME` or `file:/path`.
    #[arg(long)]
    pub password: String,
}

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The file to write; it must not exist.
    pub file: PathBuf,
    /// The data folder to copy from.
    #[arg(long, default_value = "tenantry-data")]
    pub data: PathBuf,
}
