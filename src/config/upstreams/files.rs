//! Reads the files in which MCP clients list their servers: JSON of Claude, Cursor, Windsurf,
//! Cline, VS Code and their kin, and TOML of Codex.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::builder::DefaultState;
use config::{ConfigBuilder, FileFormat};
use serde_json::{Map, Value as Json};

use super::super::layers::without_excerpt;
use super::entry::{self, Entry};
use super::keys::plain;
use super::notes::{Notes, Place, Source};
use super::variables::Variables;
use super::{SECTION, jsonc};

/// Bytes of the largest file that is read. Some clients keep their history beside their servers.
const FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Folders in which editors keep what belongs to the folder around them.
const EDITORS: [&str; 3] = [".cursor", ".vscode", ".windsurf"];

/// The servers of these files, each read once.
pub(in super::super) fn read_files<'a>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
    variables: &Variables<'_>,
    notes: &mut Notes,
) -> Vec<Entry> {
    let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
    for path in paths {
        let written = path.to_string_lossy();
        let place = Place::new(&Arc::new(Source::default()), &written);
        let expanded = variables.expand(&written, &place.source);
        for what in expanded.wrong {
            notes.problem(&place, what);
        }
        let path = PathBuf::from(variables.at_home(expanded.text));
        if seen.insert(path.clone()) {
            entries.append(&mut read(&path, notes));
        }
    }
    entries
}

fn read(path: &Path, notes: &mut Notes) -> Vec<Entry> {
    let name = path.to_string_lossy().into_owned();
    let root = match text_of(path).map_err(|error| format!("can't be read: {error}")) {
        Ok(text) if path.extension().is_some_and(|extension| extension == "toml") => toml(&text),
        Ok(text) => json(&text),
        Err(what) => Err(what),
    };
    match root {
        Ok(root) => {
            servers(root, Source { name, workspace: workspace(path), ..Source::default() }, notes)
        }
        Err(what) => {
            notes.problem(&Place::new(&Arc::new(Source::default()), &name), what);
            Vec::new()
        }
    }
}

fn text_of(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut text = String::new();
    if file.take(FILE_BYTES + 1).read_to_string(&mut text)? as u64 > FILE_BYTES {
        return Err(io::Error::other(format!("it has more than {FILE_BYTES} bytes")));
    }
    Ok(text)
}

fn json(text: &str) -> Result<Map<String, Json>, String> {
    match serde_json::from_str(&jsonc::to_json(text)) {
        Ok(Json::Object(root)) => Ok(root),
        Ok(_) => Err("must be an object with mcpServers or servers".to_owned()),
        Err(error) => Err(format!("is no JSON: {error}")),
    }
}

fn toml(text: &str) -> Result<Map<String, Json>, String> {
    let file = config::File::from_str(text, FileFormat::Toml);
    let read = ConfigBuilder::<DefaultState>::default().add_source(file).build();
    let read = read.and_then(|read| read.try_deserialize::<Map<String, Json>>());
    read.map_err(|error| format!("is no TOML: {}", without_excerpt(&error.to_string())))
}

/// The folder around an editor's own.
fn workspace(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let folder = path.parent()?;
    let name = folder.file_name()?.to_str()?;
    EDITORS.contains(&name).then(|| folder.parent().map(Path::to_owned))?
}

/// The servers of a file's whole content. Whatever else a client keeps there is its own.
fn servers(mut root: Map<String, Json>, mut source: Source, notes: &mut Notes) -> Vec<Entry> {
    source.inputs = inputs(root.get("inputs"));
    let source = Arc::new(source);
    let mut entries = Vec::new();
    let mut found = false;
    let mut lists = |table: &mut Map<String, Json>, path: &str, notes: &mut Notes| {
        let is_list = |key: &str| key == "servers" || plain(key) == plain(SECTION);
        let keys: Vec<String> = table.keys().filter(|key| is_list(key)).cloned().collect();
        for key in keys {
            let Some(list) = table.remove(&key) else { continue };
            found = true;
            let place = Place::new(&source, &format!("{path}{key}"));
            entries.append(&mut entry::entries(list, &place, notes));
        }
    };
    lists(&mut root, "", notes);
    // The settings of VS Code have them one level deeper.
    if let Some(Json::Object(mcp)) = root.get_mut("mcp") {
        lists(mcp, "mcp.", notes);
    }
    if !found {
        let place = Place::new(&Arc::new(Source::default()), &source.name);
        let what = match root.keys().find(|key| is_misspelt(key)) {
            Some(key) => format!("has {key:?}; is mcpServers meant?"),
            None => "has neither mcpServers nor servers, so it lists no server".to_owned(),
        };
        notes.problem(&place, what);
    }
    entries
}

fn is_misspelt(key: &str) -> bool {
    let names = ["mcpservers", "servers"];
    names.iter().any(|name| strsim::damerau_levenshtein(&plain(key), name) <= 2)
}

/// What VS Code asks its user for: ids and defaults.
fn inputs(inputs: Option<&Json>) -> BTreeMap<String, Option<String>> {
    let inputs = inputs.and_then(Json::as_array).into_iter().flatten();
    let input = |input: &Json| {
        let text = |key: &str| input.get(key).and_then(Json::as_str).map(str::to_owned);
        Some((text("id")?, text("default")))
    };
    inputs.filter_map(input).collect()
}
