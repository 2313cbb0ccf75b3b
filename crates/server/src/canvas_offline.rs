//! `canvas verify`: what somebody does who has a replay and no server.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, bail};
use canvas::{
    model::Digest,
    replay::{REPLAY_BYTES_MAX, Replay},
};

use crate::cli::{CanvasCommand, VerifyReplayArgs};

/// Runs a command; what to print.
///
/// # Errors
/// What is wrong with the replay, named by the first revision that differs; or what cannot be read.
pub(crate) async fn run(command: CanvasCommand) -> anyhow::Result<String> {
    match command {
        CanvasCommand::Verify(args) => tokio::task::spawn_blocking(move || verified(&args)).await?,
    }
}

fn verified(args: &VerifyReplayArgs) -> anyhow::Result<String> {
    let bytes = read(&args.replay).with_context(|| args.replay.display().to_string())?;
    checked(&bytes, args.manifest.as_deref())
        .with_context(|| format!("REFUSED {}", args.replay.display()))
}

fn checked(bytes: &[u8], manifest: Option<&str>) -> anyhow::Result<String> {
    let replay = Replay::open(bytes)?;
    let found = replay.manifest_hash();
    if let Some(known) = manifest.map(str::parse::<Digest>).transpose()?
        && known != found
    {
        bail!("its manifest hash is {found}, and {known} was given");
    }
    let last = replay.verify()?;
    let header = replay.header();
    let commit = last.commit.map_or(Digest::ZERO, |commit| commit.hash());
    Ok(format!(
        "verified: revisions {} to {} of {}, in {} segments, made by {}\n\
         manifest {found}\n\
         last commit {commit}",
        header.from_rev,
        header.to_rev,
        header.canvas_id,
        replay.segments().len(),
        header.tool,
    ))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?
        .take(REPLAY_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > REPLAY_BYTES_MAX {
        bail!("it has more than {REPLAY_BYTES_MAX} bytes");
    }
    Ok(bytes)
}
