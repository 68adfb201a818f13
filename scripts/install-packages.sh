#!/usr/bin/env bash
# Installs the Debian packages of packages.txt whose commands are missing, or names
# them when it may not. Quick and silent when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")"

# PostgreSQL's server programs are not on PATH in Debian.
have() {
  case "$1" in
    /*) [ -e "$1" ] ;;
    initdb) compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
  esac
}

missing=()
while read -r cmd package _; do
  case "$cmd" in '' | '#'*) continue ;; esac
  have "$cmd" || missing+=("$package")
done <packages.txt

[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "These packages are missing (names as in Debian), and this machine has no apt-get: ${missing[*]}" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "These Debian packages are missing: ${missing[*]}. Install them with: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

# The tests start servers of their own; the package is not to create and start one.
for package in "${missing[@]}"; do
  if [ "$package" = postgresql ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/signbus.conf
  fi
done

echo "installing Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -q && apt-get install -qy --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -20 "$log" >&2
  echo "apt-get could not install: ${missing[*]}" >&2
  exit 1
fi
