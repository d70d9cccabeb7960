#!/usr/bin/env bash
# The node under load, beside plain warp and the official Rust SDK, and before other servers, beside
# bridges: `cargo bench --bench node` on the binary that is shipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: scripts/bench-node.sh [OPTIONS]

Builds the node as it is released, and measures it: calls by 1 to 256 clients of both eras, opening
and ending sessions, start, idling, memory; and calls of a server behind it, over pipes and over
HTTP, beside supergateway and mcp-proxy, which it installs into .tools/bridges where they are
missing. Takes about thirteen minutes once all is built; nothing else should run meanwhile, and it
says how much did.

  --quick      short rounds and few sessions: shows that everything works
  --seconds N  how long each measurement takes
  --rounds N   how many times each measurement is taken
  --plain      only servers that answer by themselves
  --upstreams  only what stands before other servers
  --only NAME  one server, such as erlmcp, warp, erlmcp-to-pipe, supergateway; may come several
               times
  --json       JSON instead of tables
USAGE
}

case ${1-} in
  -h | --help)
    usage
    exit 0
    ;;
esac

# Pinned, as what the tests need is; the bench goes on without what can't be had.
install_bridges() {
  local lists=benches/node/bridges folder=.tools/bridges
  if cat $lists/package-lock.json $lists/requirements.txt | cmp -s - $folder/.installed-from; then
    return
  fi
  echo "bench-node: installing supergateway and mcp-proxy"
  rm -rf $folder
  python3 -m venv $folder &&
    $folder/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
      --requirement $lists/requirements.txt &&
    cp $lists/package.json $lists/package-lock.json $folder &&
    npm --prefix $folder ci --ignore-scripts --no-audit --no-fund --loglevel=error &&
    cat $lists/package-lock.json $lists/requirements.txt >$folder/.installed-from
}

bridges=()
if install_bridges; then
  bridges=(--bridges "$PWD/.tools/bridges")
fi

# What cargo builds along with a bench has the features that only tests ask for, and takes the
# place of what was there.
shipped=$(mktemp -d)
trap 'rm -rf "$shipped"' EXIT
cargo build --release --locked --package erlmcp --bin erlmcp
cp "${CARGO_TARGET_DIR:-target}/release/erlmcp" "$shipped"
cargo bench --locked --package erlmcp --bench node -- --erlmcp "$shipped/erlmcp" \
  "${bridges[@]}" "$@"
