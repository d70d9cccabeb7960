#!/usr/bin/env bash
# Installs what the tests need beside Rust: Erlang (the differential test of `supervisors` runs
# against OTP itself), the official TypeScript and Python SDKs with their interpreters, the MCP
# Inspector, and the official conformance suites.
# Quick when everything is there: it only compares lock files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

clients=tests/clients
venv=.tools/venv

missing_packages() {
  command -v curl >/dev/null || echo curl
  command -v escript >/dev/null || echo erlang-base
  command -v node >/dev/null || echo nodejs
  command -v npm >/dev/null || echo npm
  python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

install_packages() {
  local root=()
  if [[ $EUID -ne 0 ]]; then
    root=(sudo)
  fi
  if ! command -v apt-get >/dev/null || { [[ $EUID -ne 0 ]] && ! command -v sudo >/dev/null; }; then
    echo "setup-tests: the tests need these Debian packages, or their like: $*" >&2
    echo "setup-tests: install them by hand (no apt-get here, or neither root nor sudo)" >&2
    exit 1
  fi
  echo "setup-tests: installing $*"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@"
}

# The lock file is copied beside what was installed from it: equal copies mean nothing to do.
install_npm() {
  local folder=$1 what=$2
  local stamp=$folder/node_modules/.installed-from
  cmp -s "$folder/package-lock.json" "$stamp" && return
  echo "setup-tests: installing $what"
  npm --prefix "$folder" ci --ignore-scripts --no-audit --no-fund --loglevel=error
  cp "$folder/package-lock.json" "$stamp"
}

install_python_client() {
  local stamp=$venv/.installed-from
  if cmp -s $clients/requirements.txt $stamp && $venv/bin/python -c '' 2>/dev/null; then
    return
  fi
  echo "setup-tests: installing the Python SDK"
  python3 -m venv --clear $venv
  $venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
    --requirement $clients/requirements.txt
  cp $clients/requirements.txt $stamp
}

mapfile -t missing < <(missing_packages)
if [[ ${#missing[@]} -gt 0 ]]; then
  install_packages "${missing[@]}"
fi
install_npm $clients "the TypeScript SDKs and the MCP Inspector"
install_npm tests/conformance "the conformance suites"
install_python_client
