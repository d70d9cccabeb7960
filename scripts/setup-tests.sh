#!/usr/bin/env bash
# Installs what the tests need beside Rust: Erlang (the differential test of `supervisors` runs
# against OTP itself), the official TypeScript and Python SDKs with their interpreters, the MCP
# Inspector, the official conformance suites, and MCP servers as users run them by npx and uvx.
# Quick when everything is there: it only compares lock files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

clients=tests/clients
servers=tests/servers
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

# pip fills a folder with archives, since it checks their hashes; uv, in `bin`, is told by a home of
# its own to take nothing from elsewhere, and has done so once.
install_python_servers() {
  local folder=$PWD/.tools/servers
  local stamp=$folder/.installed-from
  if cmp -s $servers/requirements.txt "$stamp" && "$folder/bin/uvx" --version >/dev/null 2>&1; then
    return
  fi
  echo "setup-tests: installing uv and the MCP servers in Python"
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/python" -m pip download --quiet --disable-pip-version-check --require-hashes \
    --only-binary :all: --requirement $servers/requirements.txt --dest "$folder/archives"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-index \
    --find-links "$folder/archives" uv
  mkdir -p "$folder/user/.config/uv"
  cat >"$folder/user/.config/uv/uv.toml" <<TOML
no-index = true
find-links = ["$folder/archives"]
python-downloads = "never"
TOML
  env -u XDG_CONFIG_HOME -u XDG_CACHE_HOME -u XDG_DATA_HOME HOME="$folder/user" \
    "$folder/bin/uvx" --quiet mcp-server-time --help >/dev/null
  cp $servers/requirements.txt "$stamp"
}

mapfile -t missing < <(missing_packages)
if [[ ${#missing[@]} -gt 0 ]]; then
  install_packages "${missing[@]}"
fi
install_npm $clients "the TypeScript SDKs and the MCP Inspector"
install_npm tests/conformance "the conformance suites"
install_python_client
install_npm $servers "the MCP servers in TypeScript"
install_python_servers
