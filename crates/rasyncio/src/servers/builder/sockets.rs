//! The sockets that a server listens on, and the files of those that have one.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

use super::Builder;
use crate::net::{remove_stale_socket, socket, unix_address};

impl Builder {
    pub(super) fn bind(&self, mut addresses: Vec<SocketAddr>) -> io::Result<Vec<OwnedFd>> {
        let mut seen = Vec::new();
        addresses.retain(|address| {
            let new = !seen.contains(address);
            seen.push(*address);
            new
        });
        let mut sockets = Vec::new();
        for address in &addresses {
            // A family that the system does not have is passed over.
            let Ok(socket) = socket::open(socket::family(address), SocketType::STREAM) else {
                continue;
            };
            if self.reuse_address {
                sockopt::set_socket_reuseaddr(&socket, true)?;
            }
            if self.reuse_port {
                sockopt::set_socket_reuseport(&socket, true)?;
            }
            if self.keep_alive {
                sockopt::set_socket_keepalive(&socket, true)?;
            }
            if address.is_ipv6() {
                // The other family has a socket of its own.
                sockopt::set_ipv6_v6only(&socket, true)?;
            }
            match rustix::net::bind(&socket, address) {
                Ok(()) => sockets.push(socket),
                Err(Errno::ADDRNOTAVAIL) => {}
                Err(error) => {
                    let message =
                        format!("error while attempting to bind on address {address}: {error}");
                    return Err(io::Error::new(error.kind(), message));
                }
            }
        }
        if sockets.is_empty() {
            let message = format!("could not bind on any address out of {addresses:?}");
            return Err(io::Error::new(ErrorKind::AddrNotAvailable, message));
        }
        Ok(sockets)
    }

    pub(super) fn bind_path(&self, path: &Path) -> io::Result<(OwnedFd, Option<SocketFile>)> {
        let address = unix_address(path)?;
        let socket = socket::open(AddressFamily::UNIX, SocketType::STREAM)?;
        remove_stale_socket(path);
        rustix::net::bind(&socket, &address)?;
        let file = if self.cleanup_socket {
            SocketFile::of(path)
        } else {
            None
        };
        Ok((socket, file))
    }
}

/// The file of a Unix socket, removed when this is dropped if it is the same one still.
#[derive(Debug)]
pub(in crate::servers) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> Option<SocketFile> {
        // None of an abstract name.
        let inode = fs::metadata(path).ok()?.ino();
        Some(SocketFile {
            path: path.to_owned(),
            inode,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // There is nobody to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}
