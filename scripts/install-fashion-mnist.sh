#!/usr/bin/env bash
# Prints the folder of Fashion-MNIST's files. If they are missing, root installs Debian's package.
set -euo pipefail

folder=${RESNODE_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
found() { [ -f "$folder/train-images-idx3-ubyte.gz" ] && echo "$folder"; }

found && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "not in $folder; install the package dataset-fashion-mnist, or set RESNODE_FASHION_MNIST to the folder of its four files" >&2
  exit 1
fi
{
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dataset-fashion-mnist
} >/dev/null
found
