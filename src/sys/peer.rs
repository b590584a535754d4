//! Who is at the other end of a Unix socket.

use std::os::fd::AsFd;

use super::files::Result;

/// The process at the other end of a local socket, as the operating system vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user.
    pub user: u32,
    /// Its effective primary group.
    pub group: u32,
    /// Its process id.
    pub process: i32,
}

/// Returns who connected a Unix socket.
///
/// # Errors
/// When it is no connected Unix socket.
pub fn peer_of(socket: impl AsFd) -> Result<Peer> {
    let credentials = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(Peer { user: credentials.uid.as_raw(), group: credentials.gid.as_raw(), process: credentials.pid.as_raw_nonzero().get() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_a15_the_system_says_who_connected() {
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = peer_of(&a).unwrap();
        assert_eq!(peer.user, rustix::process::geteuid().as_raw());
        assert_eq!(peer.process, std::process::id().cast_signed());
        assert!(peer_of(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).is_err());
    }
}
