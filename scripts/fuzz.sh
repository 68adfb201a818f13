#!/usr/bin/env bash
# Runs each fuzz target of the module for FUZZTIME, one after the other.
# Making found inputs smaller would take up to a minute each, and with it the whole time of a short run.
set -euo pipefail
cd "$(dirname "$0")/.."

found=0
while IFS=: read -r file line; do
  target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$line")
  package=./$(dirname "$file")
  found=$((found + 1))
  echo "== $package $target"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" -fuzzminimizetime 100x "$package"
done < <(grep -rE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*\(f \*testing\.F\)' pkg services schemas || true)

echo "$found fuzz targets ran for ${FUZZTIME:-10s} each"
