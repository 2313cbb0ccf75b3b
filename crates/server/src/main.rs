//! The `tenantry` program.

use std::process::ExitCode;

use clap::Parser;
use tenantry_server::{EXIT_CONFIG, StartupError, cli::Cli, commands, config::ConfigError};

#[actix_web::main]
async fn main() -> ExitCode {
    match commands::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            let misconfigured = error.is::<StartupError>() || error.is::<ConfigError>();
            ExitCode::from(if misconfigured { EXIT_CONFIG } else { 1 })
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a command that fails says why where its user looks"
)]
fn report(error: &anyhow::Error) {
    eprintln!("tenantry: {error:#}");
}
