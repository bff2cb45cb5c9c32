#!/usr/bin/env bash
# Puts Debian's CUDA 11.8 compiler into a folder and prints its path: nvcc, its headers and the static runtime, from
# packages in Debian's component non-free (858 MB to download, 0.1 GB kept). It changes nothing on the machine and needs
# no root: apt uses the machine's own sources with that component, in this folder only.
#   scripts/install-cuda-11.8.sh [FOLDER]    default build/cuda-11.8
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${1:-build/cuda-11.8}")
if [ -x "$folder/bin/nvcc" ] && [ -f "$folder/lib64/libcudart_static.a" ]; then
  echo "$folder"
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || ! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
  echo "install-cuda-11.8: Debian 12 has these packages; elsewhere install CUDA 11.8 and name it: CUDA11=/usr/local/cuda-11.8 scripts/build-cuda11.sh" >&2
  exit 1
fi

mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
# The mirror that the machine uses for Debian.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
  grep -oE '^(URIs:|deb) .*' | grep -oE '(https?|mirror\+file|file)://?[^ ]+' | grep -vE 'security|nodesource|google' | head -1 || true)
if [ -z "$mirror" ]; then
  echo "install-cuda-11.8: /etc/apt names no Debian mirror; add one, or name a CUDA 11.8 by CUDA11" >&2
  exit 1
fi
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm non-free" >"$folder/apt/sources.list"
apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache="$folder/apt" -o Dir::Cache::archives="$folder/apt/archives" \
    -o APT::Sandbox::User="$(id -un)" "$@" >&2
}
apt update
(cd "$folder/apt/archives" && apt download nvidia-cuda-toolkit nvidia-cuda-dev)

# The layout of NVIDIA's own folder: bin, include, lib64, nvvm/libdevice. cicc and ptxas are next to nvcc.
stage=$folder/apt/stage
mkdir -p "$stage" "$folder/bin" "$folder/lib64" "$folder/nvvm"
for package in "$folder"/apt/archives/nvidia-cuda-*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -xf - -C "$stage" --wildcards \
    './usr/bin/*' './usr/lib/nvidia-cuda-toolkit/*' './usr/include/*' './usr/lib/x86_64-linux-gnu/libcud*' 2>/dev/null || true
done
tools=$stage/usr/lib/nvidia-cuda-toolkit
mv "$tools"/bin/nvcc "$tools"/bin/cicc "$tools"/bin/crt "$folder/bin/"
for tool in ptxas fatbinary cudafe++ bin2c nvlink cuobjdump; do mv "$stage/usr/bin/$tool" "$folder/bin/"; done
mv "$tools/libdevice" "$folder/nvvm/libdevice"
mv "$stage/usr/include" "$folder/include"
mv "$stage"/usr/lib/x86_64-linux-gnu/libcudart_static.a "$stage"/usr/lib/x86_64-linux-gnu/libcudadevrt.a "$folder/lib64/"
cat >"$folder/bin/nvcc.profile" <<'PROFILE'
TOP                = $(_HERE_)/..
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH              += $(_HERE_):
INCLUDES          += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES         =+ $(_SPACE_) "-L$(TOP)/lib64"
PROFILE
rm -rf "$folder/apt"
"$folder/bin/nvcc" --version >/dev/null
echo "$folder"
