//! What open logs cost in memory, asked of a process that does nothing else.

use std::{fs, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::world::{Installation, engine};
use crate::table::Row;

const KIB_PER_MIB: f64 = 1024.0;

/// Starts this program again to open the logs in `folder`, and asks what that cost.
pub(super) fn of_another_process(folder: &Path, logs: u64) -> Result<Vec<Row>> {
    let mut command = Command::new(std::env::current_exe()?);
    // No server is needed for this, but the program wants to know of one.
    command.args(["--server", "none", "hold-audit"]).arg(folder);
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| {
        let number = told.get(name).and_then(Value::as_f64);
        number.with_context(|| format!("no {name} in {told}"))
    };
    let (held, peak) = (number("held_kib")?, number("peak_kib")?);
    let what = format!("memory that {logs} logs hold, just opened");
    let figure = format!("{:.0} MiB", held / KIB_PER_MIB);
    let each = held * 1024.0 / logs as f64;
    let detail = format!(
        "{each:.0} bytes each; {:.0} MiB while opening",
        peak / KIB_PER_MIB
    );
    let opened = format!("{:.1} s", number("opened_s")?);
    let why = "every head is read and the tree built anew".to_owned();
    Ok(vec![
        Row::new("audit", what, figure, detail),
        Row::new("audit", format!("opening {logs} logs"), opened, why),
    ])
}

/// Opens the logs in `folder` and prints what they hold.
///
/// # Errors
/// When they do not open, or the system does not tell.
pub(crate) fn hold(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let engine = engine(folder)?;
        let (before, started) = (kib("RssAnon:")?, Instant::now());
        let opened = Installation::over(engine, folder).await?;
        let opened_s = started.elapsed().as_secs_f64();
        let told = json!({
            "held_kib": kib("RssAnon:")?.saturating_sub(before),
            "peak_kib": kib("VmHWM:")?,
            "opened_s": opened_s,
        });
        println!("{told}");
        opened.close().await;
        Ok(())
    })
}

/// A line of what the system says of this process, in KiB.
fn kib(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let digits = line.and_then(|line| line.split_whitespace().next());
    Ok(digits.with_context(|| format!("no {name}"))?.parse()?)
}
