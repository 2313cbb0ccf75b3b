//! Arguments of the commands about where things are kept.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Where a new installation keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// In the data folder: one node.
    Embedded,
    /// In Redis, Firestore and S3, which many nodes share.
    Cloud,
}

/// What the profile `cloud` is told; each config is what a row of the registry says.
#[derive(Debug, Args)]
pub struct CloudArgs {
    /// Redis: its URL, or its whole config as a JSON object.
    #[arg(long, value_name = "URL|JSON")]
    pub redis: Option<String>,
    /// Firestore: the project, or the whole config as a JSON object.
    #[arg(long, value_name = "PROJECT|JSON")]
    pub firestore: Option<String>,
    /// Object storage: the config as a JSON object.
    #[arg(long, value_name = "JSON")]
    pub s3: Option<String>,
    /// A secret as `BACKEND.NAME=REFERENCE`, such as `redis.password=env:REDIS_PASSWORD`.
    #[arg(long = "secret", value_name = "BACKEND.NAME=REFERENCE")]
    pub secrets: Vec<String>,
}

/// What can be done with the routing registry without a server.
#[derive(Debug, Subcommand)]
pub enum RoutesCommand {
    /// Print every row, one a line.
    List(RegistryArgs),
    /// Put a row in its place, if nothing is wrong with it.
    Set(SetArgs),
    /// Check every row and every backend that rows for everyone name.
    Check(RegistryArgs),
}

/// Which registry.
#[derive(Debug, Args)]
pub struct RegistryArgs {
    /// The configuration file, which says where the control store is.
    #[arg(long)]
    pub config: PathBuf,
}

/// Arguments of `routes set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The kind of resource.
    pub kind: String,
    /// Which registry.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// For this tenant alone.
    #[arg(long)]
    pub tenant: Option<String>,
    /// For this environment alone.
    #[arg(long)]
    pub env: Option<String>,
    /// The backend, or `same_as`.
    #[arg(long)]
    pub backend: String,
    /// What the backend is told, as a JSON object.
    #[arg(long, default_value = "{}")]
    pub target: String,
    /// A secret as `NAME=REFERENCE`, such as `password=env:REDIS_PASSWORD`.
    #[arg(long = "secret", value_name = "NAME=REFERENCE")]
    pub secrets: Vec<String>,
}
