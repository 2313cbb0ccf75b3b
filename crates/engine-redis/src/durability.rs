//! What a Redis promises of what it acknowledges, asked of the server itself.

use std::{collections::HashMap, fmt};

use deadpool_redis::redis::{self, Cmd, Value};

use crate::{Fsync, Policy, Promise, Wait};

/// What the settings are asked for with; its answers are names and values.
const SETTINGS: [&str; 3] = ["appendonly", "appendfsync", "maxmemory-policy"];

/// What an acknowledgement of this Redis means now; for readiness and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// What the configuration asks for.
    pub promise: Promise,
    /// Whether there is an append-only file; `None` when the server does not tell.
    pub appendonly: Option<bool>,
    /// When that file reaches the disk.
    pub appendfsync: Option<Fsync>,
    /// What happens to data when memory is full (`maxmemory-policy`).
    pub eviction: Option<String>,
    /// Replicas that have an event before it is acknowledged.
    pub wait: Option<Wait>,
}

impl Durability {
    /// What the server is asked.
    pub(crate) fn question() -> Cmd {
        let mut question = redis::cmd("CONFIG");
        question.arg("GET").arg(&SETTINGS);
        question
    }

    /// Reads the answer; one of another form tells nothing.
    pub(crate) fn read(answer: Value, policy: Policy) -> Self {
        let settings = redis::from_redis_value::<HashMap<String, String>>(answer);
        let settings = settings.unwrap_or_default();
        let setting = |name: &str| settings.get(name).map(String::as_str);
        Self {
            promise: policy.promise,
            appendonly: setting("appendonly").map(|value| value == "yes"),
            appendfsync: setting("appendfsync").and_then(|value| match value {
                "no" => Some(Fsync::No),
                "everysec" => Some(Fsync::EverySec),
                "always" => Some(Fsync::Always),
                _ => None,
            }),
            eviction: setting("maxmemory-policy").map(str::to_owned),
            wait: policy.wait,
        }
    }

    /// Whether a restart of the machine keeps everything that was acknowledged.
    pub(crate) fn survives_restarts(&self) -> bool {
        self.appendonly == Some(true) && self.appendfsync == Some(Fsync::Always)
    }

    /// What `policy` asks for and the server does not promise.
    pub(crate) fn shortcoming(&self, policy: Policy) -> Option<String> {
        if policy.promise == Promise::Relaxed {
            return None;
        }
        let relaxed = "or say \"durability\":\"relaxed\" in the row";
        let Some((appendonly, eviction)) = self.appendonly.zip(self.eviction.as_deref()) else {
            return Some(format!(
                "it does not answer CONFIG GET, so nothing is known: allow that command, {relaxed}"
            ));
        };
        if !appendonly {
            return Some(format!(
                "appendonly is no: set appendonly yes and appendfsync {}, {relaxed}",
                policy.appendfsync
            ));
        }
        if self
            .appendfsync
            .is_none_or(|found| found < policy.appendfsync)
        {
            let found = self
                .appendfsync
                .map_or("unknown".to_owned(), |found| found.to_string());
            return Some(format!(
                "appendfsync is {found}: set appendfsync {}, or say \"appendfsync\":\"{found}\" in the row",
                policy.appendfsync
            ));
        }
        (eviction != "noeviction").then(|| {
            format!("maxmemory-policy is {eviction}, which drops events: set noeviction, {relaxed}")
        })
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
        let appendonly = self
            .appendonly
            .map(|on| if on { "yes" } else { "no" }.to_owned());
        write!(
            f,
            "{}: appendonly {}, appendfsync {}, maxmemory-policy {}",
            match self.promise {
                Promise::Durable => "durable",
                Promise::Relaxed => "relaxed",
            },
            known(appendonly),
            known(self.appendfsync.map(|fsync| fsync.to_string())),
            known(self.eviction.clone()),
        )?;
        match self.wait {
            Some(wait) => write!(
                f,
                ", {} replicas within {} ms",
                wait.replicas,
                wait.at_most.as_millis()
            ),
            None => Ok(()),
        }
    }
}
