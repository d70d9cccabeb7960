//! Which file a command is, found before it is started, so that what is wrong is told precisely.

use std::env::split_paths;
use std::ffi::OsStr;
use std::fs::metadata;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf, absolute};

/// Why a command can't be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No directory of `PATH` has it.
    #[error("'{program}' is not in PATH ({path}); install it, or give its full path")]
    NotInPath {
        /// The name that was looked for.
        program: String,
        /// Where.
        path: String,
    },
    /// There is no such file.
    #[error("there is no file '{}'; correct the command", .0.display())]
    NoFile(PathBuf),
    /// There is such a file, and it can't be run.
    #[error("'{}' is not an executable file; make it one, or correct the command", .0.display())]
    NotExecutable(PathBuf),
    /// There is no such directory to run it in.
    #[error("its working directory '{}' does not exist; create it, or correct cwd", .0.display())]
    NoDirectory(PathBuf),
    /// The system refused.
    #[error("it could not be started: {0}")]
    Refused(#[from] io::Error),
}

/// The whole path of a program, as execvp(3) finds it: by this `PATH`, and from this directory.
///
/// # Errors
/// Where there is none, or it is not executable.
pub(super) fn find(
    program: &str,
    path: &OsStr,
    directory: Option<&Path>,
) -> Result<PathBuf, StartError> {
    if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        return Err(StartError::NoDirectory(directory.to_owned()));
    }
    let from_here = |file: &Path| absolute(directory.unwrap_or(Path::new("")).join(file));
    if program.contains('/') {
        let file = from_here(Path::new(program))?;
        return match is_executable(&file) {
            Some(true) => Ok(file),
            Some(false) => Err(StartError::NotExecutable(file)),
            None => Err(StartError::NoFile(file)),
        };
    }
    let mut unusable = None;
    for place in split_paths(path) {
        let file = from_here(&place.join(program))?;
        match is_executable(&file) {
            Some(true) if !program.is_empty() => return Ok(file),
            Some(false) if file.is_file() => unusable = Some(file),
            _ => {}
        }
    }
    Err(match unusable {
        Some(file) => StartError::NotExecutable(file),
        None => StartError::NotInPath {
            program: program.to_owned(),
            path: path.to_string_lossy().into_owned(),
        },
    })
}

/// Whether somebody may run this file; `None` where there is none.
fn is_executable(file: &Path) -> Option<bool> {
    let found = metadata(file).ok()?;
    Some(found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let place = std::env::temp_dir().join(format!("erlmcp-program-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(place.join("bin")).unwrap();
        fs::write(place.join("bin/plain"), "").unwrap();
        fs::write(place.join("bin/server"), "").unwrap();
        fs::set_permissions(place.join("bin/server"), fs::Permissions::from_mode(0o755)).unwrap();
        let bin = place.join("bin");
        let at = |name: &str| bin.join(name).display().to_string();
        let look = |program: &str, path: &str, directory: Option<&Path>| {
            find(program, OsStr::new(path), directory)
                .map(|file| file.display().to_string())
                .map_err(|error| error.to_string())
        };
        let path = format!("/nowhere:{}", bin.display());
        let here = Some(place.as_path());
        assert_eq!(look("server", &path, None), Ok(at("server")));
        assert_eq!(look(&at("server"), "", None), Ok(at("server")));
        assert_eq!(look("bin/server", "", here), Ok(at("server")));
        assert_eq!(look("server", "bin", here), Ok(at("server")));
        for (program, path, directory, expected) in [
            ("npxx", "/a:/b", None, "'npxx' is not in PATH (/a:/b); install it".to_owned()),
            ("", path.as_str(), None, "'' is not in PATH".to_owned()),
            ("plain", path.as_str(), None, format!("'{}' is not an executable", at("plain"))),
            ("bin/plain", "", here, format!("'{}' is not an executable", at("plain"))),
            ("./bin", "", here, "is not an executable file".to_owned()),
            ("/nowhere/x", "", None, "there is no file '/nowhere/x'".to_owned()),
            ("server", path.as_str(), Some(Path::new("/nowhere")), "its working dir".to_owned()),
        ] {
            let error = look(program, path, directory).unwrap_err();
            assert!(error.contains(&expected), "{program}: {error}");
        }
        fs::remove_dir_all(place).unwrap();
    }
}
