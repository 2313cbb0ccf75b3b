//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

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
