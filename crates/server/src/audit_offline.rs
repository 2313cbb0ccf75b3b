//! `audit verify` and `audit trust`: what somebody does who has an export and no server.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use anyhow::{Context, bail};
use audit::{
    Checkpoint, Continuity, Signers, Trust, TrustFile,
    checkpoint::NOTE_BYTES_MAX,
    receipt::RECEIPT_BYTES_MAX,
    signer::origin_of_secret,
    verify::{self, Report, VerifiedRecord},
};
use control::{SecretRef, SecretValue, Secrets};

use crate::{
    ambient::environment,
    cli::{AuditCommand, TrustArgs, VerifyArgs},
};

/// Largest trust file that is read, in bytes.
const TRUST_BYTES_MAX: usize = 64 * 1024;
/// How an export begins, and a receipt does not.
const EXPORT_BEGINS: &[u8] = br#"{"kind":"#;

/// Runs a command; what to print.
///
/// # Errors
/// What is wrong with the export, named by the first record that differs; or what cannot be read.
pub(crate) async fn run(command: AuditCommand) -> anyhow::Result<String> {
    match command {
        AuditCommand::Verify(args) => tokio::task::spawn_blocking(move || verified(&args)).await?,
        AuditCommand::Trust(args) => trust(&args).await,
    }
}

fn verified(args: &VerifyArgs) -> anyhow::Result<String> {
    let trust = Trust::parse(&read(&args.trust, TRUST_BYTES_MAX)?)
        .with_context(|| args.trust.display().to_string())?;
    let known = args.since.as_deref().map(|file| known(file, &trust));
    let known = known.transpose()?;
    let (summary, continuity) = checked(&args.export, &trust, known.as_ref())
        .with_context(|| format!("REFUSED {}", args.export.display()))?;
    Ok(format!("{summary}\n{}", history(continuity)?))
}

/// The checkpoint in a file, signed by a trusted key.
fn known(file: &Path, trust: &Trust) -> anyhow::Result<Checkpoint> {
    let note = String::from_utf8(read(file, NOTE_BYTES_MAX)?);
    let checkpoint = trust.checkpoint(&note.context("it is not text")?);
    checkpoint.with_context(|| format!("the checkpoint {}", file.display()))
}

/// Checks a file to its end, an export line by line.
fn checked(
    file: &Path,
    trust: &Trust,
    known: Option<&Checkpoint>,
) -> anyhow::Result<(String, Continuity)> {
    let mut reader = BufReader::new(File::open(file)?);
    if reader.fill_buf()?.starts_with(EXPORT_BEGINS) {
        let report = verify::export(reader, trust, known)?;
        return Ok((of_export(&report), report.continuity));
    }
    let receipt = verify::parse_receipt(&within(reader, RECEIPT_BYTES_MAX)?)?;
    let record = verify::receipt(&receipt, trust, known)?;
    Ok((of_receipt(&record), record.anchored.continuity))
}

fn of_export(report: &Report) -> String {
    let part = if report.is_complete() {
        "all"
    } else {
        "a part"
    };
    format!(
        "verified: records {} to {} of the log of {} in {}, {part} of its {} records\n\
         personal values are shown in {} records and were erased in {}\n\
         epoch {}, closed {}, under a checkpoint of {} over {} epochs",
        report.from,
        report.to,
        report.tenant,
        report.env,
        report.log_size,
        report.opened,
        report.erased,
        report.epoch.number,
        report.epoch.time,
        report.checkpoint.origin,
        report.checkpoint.size,
    )
}

fn of_receipt(record: &VerifiedRecord) -> String {
    let anchored = &record.anchored;
    format!(
        "verified: record {} of the log of {} in {}, {} at {}\n\
         epoch {}, closed {}, under a checkpoint of {} over {} epochs",
        record.seq,
        record.leaf.tenant,
        record.leaf.env,
        record.leaf.action,
        record.leaf.time,
        anchored.epoch.number,
        anchored.epoch.time,
        anchored.checkpoint.origin,
        anchored.checkpoint.size,
    )
}

fn history(continuity: Continuity) -> anyhow::Result<&'static str> {
    match continuity {
        Continuity::FirstSeen => Ok("no earlier checkpoint was given to compare with"),
        Continuity::Same => Ok("the checkpoint is the one that was given"),
        Continuity::Extends => Ok("the checkpoint continues the one that was given"),
        Continuity::NotShown => bail!(
            "REFUSED: nothing shows that its checkpoint continues the one that was given; \
             ask for it again with \"since\" set to the size of that one"
        ),
    }
}

async fn trust(args: &TrustArgs) -> anyhow::Result<String> {
    let secrets = Secrets::new(environment);
    let mut values = Vec::new();
    for key in &args.keys {
        values.push(secrets.fetch(&key.parse::<SecretRef>()?).await?);
    }
    let exposed: Vec<&[u8]> = values.iter().map(SecretValue::expose).collect();
    let first = exposed.first().copied().unwrap_or_default();
    let origin = origin_of_secret(std::str::from_utf8(first)?)?;
    let signers = Signers::from_secrets(origin, &exposed)?;
    let file = TrustFile {
        origin: signers.origin().to_string(),
        keys: [signers.verifier_keys(), &args.former].concat(),
        tenant: None,
        env: None,
        slot: None,
    };
    let text = serde_json::to_string_pretty(&file)?;
    Trust::new(file)?;
    Ok(text)
}

fn read(file: &Path, most: usize) -> anyhow::Result<Vec<u8>> {
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    within(opened, most).with_context(|| file.display().to_string())
}

/// Everything there is, if it is no more than `most` bytes.
fn within(reader: impl Read, most: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        bail!("it has more than {most} bytes");
    }
    Ok(bytes)
}
