//! The bound control socket, owned above the listener that accepts from it.
//!
//! Its file says that a node runs here, so it is made with care: never in the way of a node that
//! lives, never left to one that doesn't, and removed at the end.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Place;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A node that lives has it.
    #[error(
        "another node listens on {}; stop it with `erlmcp stop`, or give this one another \
         node.name or control.socket", .0.display()
    )]
    InUse(PathBuf),
    /// Something else is in its place.
    #[error("{} is there and is no socket; remove it, or change control.socket", .0.display())]
    NoSocket(PathBuf),
    /// Others could put a socket of theirs in its place.
    #[error(
        "{} does not belong to this user alone (mode 0700); remove it, or set control.socket",
        .0.display()
    )]
    Exposed(PathBuf),
    /// The file system or the kernel refuses.
    #[error(
        "can't listen on {}; set control.socket to a path that can be written, or to nothing to \
         do without", path.display()
    )]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The socket; clones share it. The last one removes its file.
#[derive(Debug, Clone)]
pub struct Socket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Device and inode: another node may have the path by now.
    file: (u64, u64),
    bound: Mutex<Option<UnixListener>>,
}

impl Socket {
    /// Binds a socket that only this user reaches, in place of one whose node is dead.
    ///
    /// # Errors
    /// Where another node or something else is there, or the place can't be used.
    pub fn bind(place: &Place) -> Result<Self, BindError> {
        let path = &place.path;
        let failed = |source| BindError::Io { path: path.clone(), source };
        let directory = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        if place.is_own && !is_private(directory) {
            return Err(BindError::Exposed(directory.to_owned()));
        }
        // Of nodes that start at the same time, each sees what the one before has made whole.
        let lock = File::open(directory).map_err(failed)?;
        lock.lock().map_err(failed)?;
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let made = || {
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            fs::symlink_metadata(path)
        };
        let file = made().map(|file| (file.dev(), file.ino())).map_err(failed)?;
        Ok(Self(Arc::new(Inner { path: path.clone(), file, bound: Mutex::new(Some(listener)) })))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// A handle to accept with; `None` once it is closed.
    ///
    /// # Errors
    /// Where the process is out of file descriptors.
    pub fn listen(&self) -> io::Result<Option<tokio::net::UnixListener>> {
        let bound = self.0.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listener) = bound.as_ref() else { return Ok(None) };
        tokio::net::UnixListener::from_std(listener.try_clone()?).map(Some)
    }

    /// Removes its file and closes it for good.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner).take();
        // As long as it is bound, no other node takes the path.
        let ours = |file: fs::Metadata| (file.dev(), file.ino()) == self.file;
        if bound.is_some() && fs::symlink_metadata(&self.path).is_ok_and(ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether a directory is this user's and closed to all others.
pub fn is_private(directory: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(directory)
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0)
}

/// Removes the socket of a node that is dead.
fn clear(path: &Path) -> Result<(), BindError> {
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(BindError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that is gone afterwards.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("erlmcp-s-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn place(&self, path: &str) -> Place {
            Place { path: self.0.join(path), is_own: true }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn its_file_is_for_its_user_alone_and_goes_with_it() {
        let scratch = Scratch::new();
        let place = scratch.place("new/n.sock");
        let socket = Socket::bind(&place).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(socket.path()), mode(&scratch.0.join("new"))), (0o600, 0o700));
        let copy = socket.clone();
        drop(socket);
        assert!(place.path.exists());
        copy.close();
        assert!(!place.path.exists());
        drop(Socket::bind(&place).unwrap());
        assert!(!place.path.exists());
    }

    #[test]
    fn a_node_that_lives_keeps_its_place_and_a_dead_one_does_not() {
        let scratch = Scratch::new();
        let place = scratch.place("d/n.sock");
        let alive = Socket::bind(&place).unwrap();
        assert!(matches!(Socket::bind(&place), Err(BindError::InUse(_))));
        assert!(UnixStream::connect(&place.path).is_ok(), "it goes on");
        // As after a kill -9: the file is there, and nobody listens.
        drop(alive);
        drop(UnixListener::bind(&place.path).unwrap());
        let successor = Socket::bind(&place).unwrap();
        assert!(UnixStream::connect(&place.path).is_ok());
        // Who comes late to its own end removes nothing of its successor.
        fs::remove_file(&place.path).unwrap();
        let last = Socket::bind(&place).unwrap();
        drop(successor);
        assert!(UnixStream::connect(last.path()).is_ok());
    }

    #[test]
    fn it_is_put_in_nobody_s_way_and_in_nobody_s_reach() {
        let scratch = Scratch::new();
        let place = scratch.place("d/n.sock");
        drop(Socket::bind(&place).unwrap());
        fs::write(&place.path, "precious").unwrap();
        assert!(matches!(Socket::bind(&place), Err(BindError::NoSocket(_))));
        assert!(place.path.exists());
        fs::remove_file(&place.path).unwrap();
        fs::set_permissions(scratch.0.join("d"), Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(Socket::bind(&place), Err(BindError::Exposed(_))));
        let told = Place { is_own: false, ..place };
        assert!(Socket::bind(&told).is_ok(), "where the operator says so, it is his affair");
        let link = scratch.0.join("link");
        std::os::unix::fs::symlink(scratch.0.join("d"), &link).unwrap();
        assert!(!is_private(&link));
    }
}
