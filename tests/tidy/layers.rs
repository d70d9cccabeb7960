//! The dependency rule: modules point downwards, and pure ones touch neither runtime nor clock.

use crate::problem::{Problem, assert_none, told};
use crate::repository::{File, files};
use crate::scan;

/// The modules of `src`, from the top of the node to its bottom.
/// A module may use those on later lines, never one beside it or on an earlier line.
/// A new module gets its place here; a row whose module doesn't exist yet does no harm.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["lib"],
    &["cli"],
    &["serve"],
    &["node"],
    &["tree"],
    // Composes the `Config` of every module below, each of which stands beside its code.
    &["config"],
    &["transport"],
    &["session"],
    &["tasks"],
    &["router"],
    &["upstreams"],
    &["registry"],
    &["provider"],
    &["store"],
    &["admission", "auth"],
    // Knows the catalogue's names: only those may become labels.
    &["telemetry"],
    &["catalogue"],
    &["bridge"],
    &["protocol"],
    &["secret"],
];

/// Files and folders whose code is a function of its arguments alone.
/// Those of `src` may use only modules that have an entry here.
const PURE: &[&str] = &[
    "src/auth/verify",
    "src/bridge",
    "src/catalogue",
    "src/protocol",
    "src/provider/upstream/connection/message",
    "src/provider/upstream/connection/table",
    "src/provider/upstream/failure",
    "src/provider/upstream/spec",
    "src/router",
    "src/secret",
    "src/session/events",
    "src/session/machine",
    "src/tasks/choice",
    "src/tasks/machine",
    "src/tasks/wire",
    "src/upstreams/difference",
    "src/upstreams/machine",
    "supervisors/src/machine",
];

/// What some part of the tree must not name, but for some places in it.
struct Ban {
    under: &'static [&'static str],
    except: &'static [&'static str],
    tokens: &'static [&'static str],
    because: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        under: PURE,
        except: &[],
        tokens: &["tokio::", "ractor::", "warp::", "hyper::", "hyper_util::", "reqwest::"],
        because: "pure code knows no runtime and no network: return an effect instead",
    },
    Ban {
        under: PURE,
        except: &[],
        tokens: &[
            "Instant::now",
            "SystemTime",
            "Utc::now",
            "Uuid::new_v4",
            "rand::",
            "getrandom::",
        ],
        because: "time and randomness are arguments of pure code",
    },
    Ban {
        under: PURE,
        except: &[],
        tokens: &["std::env", "std::fs", "std::io", "std::net", "std::process", "std::thread"],
        because: "pure code does no I/O: return an effect instead",
    },
    Ban {
        under: &["supervisors"],
        except: &[],
        tokens: &["erlmcp::", "rmcp::", "warp::", "hyper::"],
        because: "`supervisors` supervises anything, so it never hears of MCP",
    },
    Ban {
        under: &["src"],
        except: &["src/provider/native/model", "src/provider/rmcp", "src/provider/upstream"],
        tokens: &["rmcp::model", "rmcp::service", "rmcp::transport", "rmcp::ServerHandler"],
        because: "the SDK's types break with each of its versions: keep each use in one module",
    },
];

#[test]
fn modules_point_downwards() {
    let problems: Vec<Problem> = files().iter().flat_map(check_layers).collect();
    assert_none(&problems);
}

#[test]
fn no_part_names_what_it_must_not_know() {
    let problems: Vec<Problem> = files().iter().flat_map(check_bans).collect();
    assert_none(&problems);
}

fn check_layers(file: &File) -> Vec<Problem> {
    if file.is_tests() {
        return Vec::new();
    }
    let Some(path) = file.path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs"))
    else {
        return Vec::new();
    };
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let module = path.split('/').next().unwrap_or_default();
    let Some(layer) = layer_of(module) else {
        return vec![Problem::of(&file.path, "has no place in LAYERS of tests/tidy/layers.rs")];
    };
    let code = scan::without_tests(&scan::code(&file.text));
    let mut problems = Vec::new();
    for (at, used) in references(&code, depth_of(path)) {
        let line = scan::line_of(&code, at);
        let Some(used_layer) = layer_of(used).filter(|_| used != module) else {
            continue;
        };
        if used_layer <= layer {
            let what = format!("`{module}` uses `{used}`, which isn't below it (see LAYERS)");
            problems.push(Problem::at(&file.path, line, what));
        } else if is_under(&file.path, PURE) && !has_pure_part(used) {
            let what = format!("pure code uses `{used}`, which isn't pure (see PURE)");
            problems.push(Problem::at(&file.path, line, what));
        }
    }
    problems
}

fn check_bans(file: &File) -> Vec<Problem> {
    if !file.is_rust() || file.is_tests() {
        return Vec::new();
    }
    let code = scan::without_tests(&scan::code(&file.text));
    let mut problems = Vec::new();
    for ban in BANS
        .iter()
        .filter(|ban| is_under(&file.path, ban.under) && !is_under(&file.path, ban.except))
    {
        for token in ban.tokens {
            for at in scan::find_token(&code, token) {
                let what = format!("`{token}`: {}", ban.because);
                problems.push(Problem::at(&file.path, scan::line_of(&code, at), what));
            }
        }
    }
    problems
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn has_pure_part(module: &str) -> bool {
    PURE.iter()
        .filter_map(|path| path.strip_prefix("src/"))
        .any(|path| path.split('/').next() == Some(module))
}

/// Whether a path is one of these modules: its file, or a file in its folder.
fn is_under(path: &str, modules: &[&str]) -> bool {
    modules.iter().any(|module| {
        path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    })
}

/// How many modules deep a file is: `session/machine` is 2, the two crate roots are 0.
fn depth_of(path: &str) -> usize {
    if matches!(path, "main" | "lib") { 0 } else { path.split('/').count() }
}

/// The top-level modules that the code names, each with its offset: `crate::x`, `crate::{x, y::z}`,
/// `erlmcp::x` from the binary, and enough `super::` to reach the root of the crate.
fn references(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let to_root = "super::".repeat(depth);
    let mut found = Vec::new();
    for root in ["crate::", "erlmcp::", to_root.as_str()] {
        if root.is_empty() {
            continue;
        }
        for at in scan::find_token(code, root) {
            let (before, rest) = code.split_at(at);
            if !before.ends_with("::") {
                let rest = rest.get(root.len()..).unwrap_or_default();
                found.extend(first_segments(rest).into_iter().map(|name| (at, name)));
            }
        }
    }
    found
}

/// The first names after a path's root: one, or those of a group.
fn first_segments(rest: &str) -> Vec<&str> {
    let Some(group) = rest.strip_prefix('{') else {
        return identifier(rest).into_iter().collect();
    };
    let mut names: Vec<&str> = identifier(group).into_iter().collect();
    let mut depth = 0_i32;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.extend(group.get(at + 1..).and_then(identifier)),
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    text.get(..end).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(path: &str, text: &str) -> Vec<String> {
        told(&check_layers(&File::new(path, text)))
    }

    fn bans(path: &str, text: &str) -> Vec<String> {
        told(&check_bans(&File::new(path, text)))
    }

    #[test]
    fn a_use_upwards_is_found_however_it_is_written() {
        let up = |line: usize, used: &str| {
            let place = format!("src/store/memory.rs:{line}");
            format!("{place}: `store` uses `{used}`, which isn't below it (see LAYERS)")
        };
        let samples = [
            ("use crate::session::Id;", vec![up(1, "session")]),
            ("\nfn f() { crate::node::g() }", vec![up(2, "node")]),
            (
                "use crate::{\n    protocol::{Id, node},\n    session,\n    tree::Spec,\n};",
                vec![up(1, "session"), up(1, "tree")],
            ),
            ("use super::super::session;", vec![up(1, "session")]),
        ];
        for (text, expected) in samples {
            assert_eq!(layers("src/store/memory.rs", text), expected, "{text}");
        }
        assert_eq!(layers("src/auth.rs", "use crate::admission::Permit;").len(), 1, "beside it");
    }

    #[test]
    fn a_use_downwards_is_fine() {
        let samples = [
            ("src/main.rs", "use erlmcp::node::Node;"),
            ("src/session/actor.rs", "use super::machine;\nuse crate::{protocol::Id, store};"),
            ("src/session/actor.rs", "use super::super::router; // crate::node"),
            ("src/store/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::node::Node;\n}"),
            ("src/store.rs", "use crate::Error;"),
            ("supervisors/src/lib.rs", "use crate::node::Anything;"),
        ];
        for (path, text) in samples {
            assert_eq!(layers(path, text), Vec::<String>::new(), "{path}: {text}");
        }
    }

    #[test]
    fn a_module_needs_a_place() {
        let expected = ["src/novel.rs:1: has no place in LAYERS of tests/tidy/layers.rs"];
        assert_eq!(layers("src/novel.rs", ""), expected);
    }

    #[test]
    fn pure_code_uses_pure_code_only() {
        let expected =
            ["src/session/machine.rs:1: pure code uses `store`, which isn't pure (see PURE)"];
        assert_eq!(layers("src/session/machine.rs", "use crate::store::Store;"), expected);
        assert_eq!(layers("src/session/actor.rs", "use crate::store::Store;").len(), 0);
        assert_eq!(layers("src/router.rs", "use crate::auth::Principal;").len(), 0);
    }

    #[test]
    fn pure_code_knows_no_runtime_clock_or_file() {
        let text =
            "use tokio::sync::mpsc;\nfn f() { std::time::Instant::now(); std::fs::read(p); }";
        for path in ["src/protocol/envelope.rs", "src/router.rs", "supervisors/src/machine/plan.rs"]
        {
            assert_eq!(bans(path, text).len(), 3, "{path}");
        }
        assert_eq!(
            bans("src/router.rs", "\nuse tokio::time;"),
            ["src/router.rs:2: `tokio::`: pure code knows no runtime and no network: \
                 return an effect instead"],
        );
        assert_eq!(bans("src/session/actor.rs", text).len(), 0);
        assert_eq!(bans("src/router_bench.rs", text).len(), 0, "another module");
        assert_eq!(bans("src/router.rs", "fn f(now: Instant) {} // tokio::").len(), 0);
    }

    #[test]
    fn supervisors_know_no_mcp() {
        assert_eq!(bans("supervisors/src/lib.rs", "use rmcp::model;").len(), 1);
    }

    #[test]
    fn the_sdk_stays_in_its_module() {
        assert_eq!(bans("src/router.rs", "use rmcp::model::Tool;").len(), 1);
        assert_eq!(bans("src/router.rs", "use crate::provider::rmcp::host;").len(), 0);
        assert_eq!(bans("src/provider/rmcp/call.rs", "use rmcp::model::Tool;").len(), 0);
    }

    #[test]
    fn every_module_has_one_place() {
        let mut all: Vec<&str> = LAYERS.iter().flat_map(|layer| layer.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
