#!/usr/bin/env bash
# The node under load, beside plain warp and the official Rust SDK: `cargo bench --bench node` on
# the binary that is shipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: scripts/bench-node.sh [OPTIONS]

Builds the node as it is released, and measures it: calls by 1 to 256 clients of both eras, opening
and ending sessions, start, idling, memory. Takes about nine minutes once it is built; nothing else
should run meanwhile, and it says how much did.

  --quick      short rounds and few sessions: shows that everything works
  --seconds N  how long each measurement takes
  --rounds N   how many times each measurement is taken
  --only NAME  erlmcp, erlmcp-logging, warp or rmcp; may come several times
  --json       JSON instead of tables
USAGE
}

case ${1-} in
  -h | --help)
    usage
    exit 0
    ;;
esac

# What cargo builds along with a bench has the features that only tests ask for, and takes the
# place of what was there.
shipped=$(mktemp -d)
trap 'rm -rf "$shipped"' EXIT
cargo build --release --locked --package erlmcp --bin erlmcp
cp "${CARGO_TARGET_DIR:-target}/release/erlmcp" "$shipped"
cargo bench --locked --package erlmcp --bench node -- --erlmcp "$shipped/erlmcp" "$@"
