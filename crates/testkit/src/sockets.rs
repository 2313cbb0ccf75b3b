//! Whose connection it is, as Linux tells it.

use std::{fs, net::SocketAddr};

/// Whether the end at `peer` of a loopback connection is the process's.
///
/// A process that is gone has none.
pub(crate) fn are_of(process: u32, peer: SocketAddr) -> bool {
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap_or_default();
    let Some(inode) = table.lines().find_map(|line| inode(line, peer.port())) else {
        return false;
    };
    let name = format!("socket:[{inode}]");
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return false;
    };
    let mut links = files.flatten().map(|file| fs::read_link(file.path()));
    links.any(|link| link.is_ok_and(|link| link.as_os_str() == name.as_str()))
}

/// The inode of a line of the table, if its own end has this port.
fn inode(line: &str, port: u16) -> Option<&str> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let (_, local) = local.rsplit_once(':')?;
    // After the address: the other end, state, queues, timer, retransmits, user, timeout.
    (u16::from_str_radix(local, 16) == Ok(port)).then(|| fields.nth(7))?
}
