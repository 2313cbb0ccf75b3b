//! nchan, the peer from Debian: found, installed on request, started on a free port.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::target::Target;
use crate::{
    ambient::scratch,
    server::{Running, free_port},
    wire::http::Connection,
};

const NGINX: &str = "/usr/sbin/nginx";
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";
const START_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

/// The module of nchan, installed first if that was asked for.
///
/// # Errors
/// When the installation fails.
pub(super) fn find(install: bool) -> Result<Option<PathBuf>> {
    let here = || Path::new(NGINX).exists() && Path::new(MODULE).exists();
    if !here() && install {
        let mut install = Command::new("apt-get");
        install.args(["install", "-y", "nginx", "libnginx-mod-nchan"]);
        install.env("DEBIAN_FRONTEND", "noninteractive");
        // A single-user run level: the package must not start a server of its own.
        let status = install.env("RUNLEVEL", "1").status()?;
        if !status.success() {
            bail!("apt-get could not install nchan: {status}");
        }
    }
    Ok(here().then(|| MODULE.into()))
}

/// A running nginx with nchan. It is stopped by the id of its one process.
pub(super) struct Nchan {
    running: Running,
    addr: std::net::SocketAddr,
    _folder: TempDir,
}

impl Nchan {
    /// Starts nginx with one worker, in the foreground.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub(super) fn start(module: &Path) -> Result<Self> {
        let folder = scratch()?;
        let addr = free_port()?;
        let config = folder.path().join("nginx.conf");
        fs::write(
            &config,
            configuration(module, folder.path(), &addr.to_string()),
        )?;
        let mut command = Command::new(NGINX);
        command.arg("-p").arg(folder.path()).arg("-c").arg(&config);
        command.arg("-e").arg(folder.path().join("error.log"));
        let nchan = Self {
            running: Running::start(&mut command)?,
            addr,
            _folder: folder,
        };
        let started = Instant::now();
        while Connection::open(addr).is_err() {
            if started.elapsed() > START_MAX {
                bail!("nginx did not listen within {START_MAX:?}");
            }
            thread::sleep(POLL);
        }
        let mut connection = Connection::open(addr)?;
        let made = connection.call("POST", "/pub?tenant=t&id=c", "", "{}");
        made.context("the first message of the channel")?;
        Ok(nchan)
    }

    /// The channel.
    pub(super) fn target(&self) -> Target {
        Target {
            addr: self.addr,
            pid: self.running.pid(),
            headers: String::new(),
            sse_path: "/sub?tenant=t&id=c".to_owned(),
            ws_path: "/sub?tenant=t&id=c".to_owned(),
            publish_path: "/pub?tenant=t&id=c".to_owned(),
            envelope: str::to_owned,
        }
    }
}

/// One process that is master and worker: killing it leaves no child.
fn configuration(module: &Path, folder: &Path, listen: &str) -> String {
    let (module, folder) = (module.display(), folder.display());
    format!(
        "load_module {module};
daemon off;
master_process off;
pid {folder}/nginx.pid;
worker_rlimit_nofile 20000;
events {{ worker_connections 12000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  server {{
    listen {listen};
    location = /pub {{
      nchan_publisher; nchan_channel_group $arg_tenant; nchan_channel_id $arg_id;
      nchan_message_buffer_length 1000; nchan_message_timeout 10m;
    }}
    location = /sub {{
      nchan_subscriber eventsource websocket; nchan_channel_group $arg_tenant; nchan_channel_id $arg_id;
      nchan_subscriber_first_message newest;
      nchan_subscriber_last_message_id $http_last_event_id $arg_last_event_id;
    }}
  }}
}}
"
    )
}
