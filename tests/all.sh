#!/usr/bin/env bash
# Everything that CI runs. Installs what the real-server tests need where it can (Debian, Ubuntu);
# elsewhere it says what to install and stops.
#
#   tests/all.sh            all of it
#   tests/all.sh quick      without the foreign servers
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-all}
say() { printf '\n== %s\n' "$*"; }
need() { command -v "$1" >/dev/null 2>&1; }

install_servers() {
  local missing=()
  need prosody || missing+=(prosody prosody-modules lua-unbound lua-readline lua-event lua-dbi-sqlite3 lua-zlib)
  need ejabberdctl || [ -x /usr/sbin/ejabberdctl ] || missing+=(ejabberd)
  need go-sendxmpp || missing+=(go-sendxmpp)
  need openssl || missing+=(openssl)
  need setpriv || missing+=(util-linux)
  need python3 || missing+=(python3)
  if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then missing+=(python3-venv); fi
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! need apt-get; then
    echo "install these and run again: ${missing[*]}" >&2
    exit 1
  fi
  local sudo=
  [ "$(id -u)" = 0 ] || { need sudo && sudo=sudo; } || { echo "install as root: ${missing[*]}" >&2; exit 1; }
  say "installing ${missing[*]}"
  $sudo apt-get update -qq
  # The packages start their daemons where an init system runs; the tests bring their own.
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  $sudo service prosody stop >/dev/null 2>&1 || true
  $sudo service ejabberd stop >/dev/null 2>&1 || true
}

install_slixmpp() {
  local venv=target/venv
  if [ ! -x "$venv/bin/python" ]; then python3 -m venv "$venv"; fi
  "$venv/bin/python" -c 'import slixmpp' 2>/dev/null || "$venv/bin/pip" install -q 'slixmpp>=1.15,<2'
  export RHAPSODE_PYTHON="$PWD/$venv/bin/python"
}

if [ "$mode" = all ]; then
  install_servers
  install_slixmpp
fi

say "format"
cargo fmt --all --check

say "lints"
cargo clippy --quiet --all-targets -- -D warnings

say "tests"
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run --no-fail-fast --status-level fail --final-status-level fail
else
  cargo test --quiet
fi

say "documentation examples"
cargo test --quiet --doc

if need cargo-deny; then
  say "licences and sources"
  cargo deny --log-level error check licenses bans sources
else
  say "licences and sources: cargo-deny is not installed here, so deny.toml was not checked"
fi

if [ "$mode" = all ]; then
  say "prosody and ejabberd, with slixmpp and go-sendxmpp as people"
  REQUIRE_SERVERS=1 cargo test --quiet --test servers -- --test-threads=1
fi
say "all passed"
