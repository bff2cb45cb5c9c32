#!/usr/bin/env bash
# Prints the path of a Chromium. If there is none, root installs Debian's. Only the tests of pages need it.
set -euo pipefail

find_chromium() { command -v "${RESNODE_CHROMIUM:-chromium}" || command -v chromium-browser || command -v google-chrome; }

find_chromium && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "not installed; install the package chromium, or set RESNODE_CHROMIUM to its path" >&2
  exit 1
fi
{
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
} >/dev/null
find_chromium
