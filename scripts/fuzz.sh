#!/usr/bin/env bash
# Mutated bytes for the decoder and for a node's HTTP port, by cargo-fuzz and libFuzzer.
#
# Without a sanitizer: the node's own code has no unsafe block, so a panic, a hang, a leak or too
# much memory is what there is to find, and the pinned stable compiler does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

targets=(decode http)

usage() {
  cat <<'USAGE'
Usage: scripts/fuzz.sh [SECONDS [TARGET]]

Feeds each target, or only TARGET (decode or http), for SECONDS in total; 60 where nothing is said.
What is worth keeping goes to tests/fuzz/corpus, findings to tests/fuzz/artifacts. A finding becomes
a seed below tests/fuzz/seeds once it is mended: `make test` replays those.
USAGE
}

case ${1-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
if [[ -n ${2-} ]]; then
  targets=("$2")
fi
seconds=$((${1:-60} / ${#targets[@]}))

if ! grep -qs '^"cargo-fuzz 0.13.2 ' .tools/.crates.toml || [[ ! -x .tools/bin/cargo-fuzz ]]; then
  echo "fuzz: building cargo-fuzz"
  cargo install --locked --quiet --force --root .tools cargo-fuzz@0.13.2
fi

# The versions that the node is locked to; cargo adds those of libFuzzer's wrapper.
fuzz=tests/fuzz
cp Cargo.lock $fuzz/Cargo.lock
for target in "${targets[@]}"; do
  echo "fuzz: $target for $seconds s"
  mkdir -p "$fuzz/corpus/$target"
  .tools/bin/cargo-fuzz run --fuzz-dir $fuzz --sanitizer none "$target" \
    "$fuzz/corpus/$target" "$fuzz/seeds/$target" -- -dict=$fuzz/tokens.dict \
    -max_total_time="$seconds" -timeout=30 -rss_limit_mb=1024 -print_final_stats=1
done
