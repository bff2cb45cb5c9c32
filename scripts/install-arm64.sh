#!/usr/bin/env bash
# Prints a folder with the parts of Debian 12 that a program for 64-bit Arm needs: the C and C++ libraries, oneDNN and
# its headers (5 MB to download). It changes nothing on the machine and needs no root: apt uses the machine's own
# sources with the architecture arm64, in this folder only.
#   scripts/install-arm64.sh [FOLDER]    default build/linux-arm64/sysroot
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${1:-build/linux-arm64/sysroot}")
if [ -f "$folder/.complete" ]; then
  echo "$folder"
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || ! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
  echo "install-arm64: Debian 12 has these packages; elsewhere build on the Arm machine itself: npm run build" >&2
  exit 1
fi

apt=$folder.apt
rm -rf "$folder"
mkdir -p "$folder" "$apt/lists/partial" "$apt/archives/partial"
touch "$apt/status"
apt_arm64() {
  apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::status="$apt/status" \
    -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" \
    -o APT::Sandbox::User="$(id -un)" "$@" >&2
}
apt_arm64 update
apt_arm64 install --yes --download-only --no-install-recommends libdnnl-dev
for package in "$apt"/archives/*_arm64.deb; do dpkg-deb -x "$package" "$folder"; done
rm -rf "$apt"
touch "$folder/.complete"
echo "$folder"
