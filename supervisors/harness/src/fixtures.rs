//! Recorded traces of real OTP, for machines without Erlang.
//!
//! A file `NAME.txt.gz` under `fixtures/` holds many records as text:
//!
//! ```text
//! # free text up to the end of the line
//! script FAMILY SEED
//! {sup,...}.
//! {op,...}.
//! trace
//! op 0 start_link
//! ...
//! end
//! ```

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::generate::Family;
use crate::script::{Script, ScriptError};

/// One script with the trace that OTP gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixture {
    pub family: Family,
    pub seed: u64,
    pub script: Script,
    pub expected: Vec<String>,
}

/// Why a file isn't one of fixtures.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    #[error("a file of fixtures can't be read or written")]
    Io(#[from] io::Error),
    #[error("a recorded script isn't understood: {0}")]
    Script(#[from] ScriptError),
    #[error("not the head of a recorded script: {0}")]
    Head(String),
    #[error("the file ends within a record")]
    Cut,
}

/// Where the recorded traces of this crate lie.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// All recorded traces of this crate, file by file in the order of their names.
pub fn all() -> Result<Vec<Fixture>, FixtureError> {
    let entries = std::fs::read_dir(directory())?.collect::<Result<Vec<_>, _>>()?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    paths.sort();
    let mut fixtures = Vec::new();
    for path in paths {
        fixtures.extend(read_file(&path)?);
    }
    Ok(fixtures)
}

/// The records of one file.
pub fn read_file(path: &Path) -> Result<Vec<Fixture>, FixtureError> {
    read(GzDecoder::new(File::open(path)?))
}

/// The records of a text.
pub fn read(text: impl Read) -> Result<Vec<Fixture>, FixtureError> {
    let mut lines = BufReader::new(text).lines();
    let mut fixtures = Vec::new();
    while let Some(line) = lines.next() {
        let line = line?;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (family, seed) = head(&line).ok_or(FixtureError::Head(line))?;
        let script = until(&mut lines, "trace")?.join("\n");
        let expected = until(&mut lines, "end")?;
        fixtures.push(Fixture { family, seed, script: Script::parse(&script)?, expected });
    }
    Ok(fixtures)
}

fn head(line: &str) -> Option<(Family, u64)> {
    let (family, seed) = line.strip_prefix("script ")?.split_once(' ')?;
    Some((family.parse().ok()?, seed.parse().ok()?))
}

fn until(
    lines: &mut impl Iterator<Item = io::Result<String>>,
    closing: &str,
) -> Result<Vec<String>, FixtureError> {
    let mut taken = Vec::new();
    for line in lines {
        let line = line?;
        if line == closing {
            return Ok(taken);
        }
        taken.push(line);
    }
    Err(FixtureError::Cut)
}

/// Writes a file of records. The same records give the same bytes.
pub fn write_file(path: &Path, note: &str, fixtures: &[Fixture]) -> Result<(), FixtureError> {
    let mut packed = GzEncoder::new(File::create(path)?, Compression::best());
    writeln!(packed, "# {note}")?;
    for fixture in fixtures {
        write(&mut packed, fixture)?;
    }
    packed.finish()?.flush()?;
    Ok(())
}

fn write(out: &mut impl Write, fixture: &Fixture) -> io::Result<()> {
    let Fixture { family, seed, script, expected } = fixture;
    writeln!(out, "script {family} {seed}\n{script}trace")?;
    expected.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out, "end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back() {
        let fixture = |seed| Fixture {
            family: Family::Queued,
            seed,
            script: Family::Queued.script(seed),
            expected: vec!["op 0 start_link".to_owned(), "ret 0 ok_pid".to_owned()],
        };
        let written = [fixture(1), fixture(2)];
        let mut text = b"# note\n".to_vec();
        for fixture in &written {
            write(&mut text, fixture).unwrap();
        }
        assert_eq!(read(text.as_slice()).unwrap(), written);
        let cut = text.get(..text.len() - 4).unwrap();
        assert!(matches!(read(cut), Err(FixtureError::Cut)));
        assert!(matches!(read(b"script x 1\n".as_slice()), Err(FixtureError::Head(_))));
    }
}
