#!/usr/bin/env bash
# Runs every benchmark: first those of the packages that have any, then the
# side-by-side ones on the built binary in e2e. Nothing here asserts a time.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t packages < <(grep -rlE --include='*_test.go' '^func Benchmark' pkg services schemas | xargs -r -n1 dirname | sort -u | sed 's#^#./#')
if [ ${#packages[@]} -gt 0 ]; then
  echo '== packages'
  go test -run '^$' -bench . -benchmem -benchtime "${BENCHTIME:-1s}" -timeout 30m "${packages[@]}"
fi

echo '== end to end'
cd e2e
go test -run '^$' -bench . -benchtime "${BENCHTIME:-1s}" -timeout 30m ./...
