#!/usr/bin/env bash
# Installs what `make check` needs beside Rust into .tools, pinned; built from crates.io, where
# missing: about two and a half minutes for cargo-deny and one for cargo-machete on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

install_tool() {
  local name=$1 version=$2
  # cargo keeps this record of what it put under a root.
  if grep -qs "^\"$name $version " .tools/.crates.toml && [[ -x .tools/bin/$name ]]; then
    return
  fi
  echo "setup-check: building $name $version"
  cargo install --locked --quiet --force --root .tools "$name@$version"
}

install_tool cargo-deny 0.20.2
install_tool cargo-machete 0.9.2
