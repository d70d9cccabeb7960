#!/usr/bin/env bash
# What supervision costs here and in Erlang/OTP, measured one after the other on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
Usage: scripts/bench-supervision.sh [--help]

Runs `cargo bench -p supervisors` and, where `escript` is installed, the same figures on OTP's own
supervisor, and prints both tables. Takes about five minutes; nothing else should run meanwhile.

  start      a call that starts a child, by one caller; x64: by 64 at the same time, per start
  crash      from telling a child to crash until its next incarnation runs; another child each
             time, or the same again and again, which shows what the caches have to do with it
  lookup     which_child; get_childspec for OTP
  terminate  a call that stops a child
  delete     a call that removes the specification of a stopped child
  stop-all   the end of the supervisor with all of its children
  bytes      growth of the resident set per idle child, each in a fresh process
USAGE
}

case ${1-} in
  "") ;;
  -h | --help)
    usage
    exit 0
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac

report=$(mktemp)
trap 'rm -f "$report"' EXIT

# criterion's own lines are shown as they come; the table waits for OTP's.
cargo bench --locked --package supervisors --bench supervision | tee "$report" |
  sed '/^Medians by number of children/,$d'
echo
if command -v escript >/dev/null; then
  echo "Measuring OTP ..." >&2
  otp=$(escript supervisors/benches/otp_figures.escript)
else
  otp="OTP: not measured, since escript is not installed (Debian's erlang-base)."
fi
sed -n '/^Medians by number of children/,$p' "$report"
printf '%s\n' "$otp"
