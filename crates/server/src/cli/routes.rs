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
    /// Take a row away.
    Remove(RemoveArgs),
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

/// Which row: of a kind, for everyone unless it says otherwise.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// The kind of resource.
    pub kind: String,
    /// For this tenant alone.
    #[arg(long)]
    pub tenant: Option<String>,
    /// For this environment alone.
    #[arg(long)]
    pub env: Option<String>,
}

/// Arguments of `routes remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Which row.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Which registry.
    #[command(flatten)]
    pub registry: RegistryArgs,
}

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Which registry.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// The kind of resource; those that follow it move with it.
    #[arg(long)]
    pub kind: String,
    /// Move what is this tenant's alone.
    #[arg(long)]
    pub tenant: Option<String>,
    /// The new backend.
    #[arg(long, required_unless_present = "abort")]
    pub to: Option<String>,
    /// What the backend is told, as a JSON object.
    #[arg(long, default_value = "{}")]
    pub target: String,
    /// A secret as `NAME=REFERENCE`.
    #[arg(long = "secret", value_name = "NAME=REFERENCE")]
    pub secrets: Vec<String>,
    /// Only let writes through again, after a move that was killed.
    #[arg(long, conflicts_with = "to")]
    pub abort: bool,
}

/// Arguments of `routes set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Which row.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Which registry.
    #[command(flatten)]
    pub registry: RegistryArgs,
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
