#!/usr/bin/env bash
# Prepares a fresh clone: system headers, npm packages, the native addon. Quick if nothing is missing.
# --for-tests: also an MPI and clang-tidy (in build/tools, or the system's); --for-arm64: also a cross compiler and an
# emulator for 64-bit Arm; --generate: first writes the files that are generated from ts/operations/schema.ts
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

if ! ls /usr/include/dnnl.hpp /usr/include/*/dnnl.hpp /usr/local/include/dnnl.hpp >/dev/null 2>&1; then
  if command -v apt-get >/dev/null 2>&1; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libdnnl-dev >/dev/null
  else
    echo "setup: oneDNN's headers (dnnl.hpp) were not found. Install oneDNN 2.x with your package manager." >&2
    exit 1
  fi
fi

# Only for tests: training with several processes, C++ checks, another architecture.
missing=()
case "${1:-}" in
--for-tests)
  command -v mpicc >/dev/null 2>&1 || missing+=(libopenmpi-dev openmpi-bin)
  # A recent version skips foreign headers, which takes half the time of Debian's.
  if [ ! -x build/tools/clang_tidy/data/bin/clang-tidy ] && ! python3 -m pip install --quiet --target build/tools 'clang-tidy==22.*' 2>/dev/null; then
    command -v clang-tidy >/dev/null 2>&1 || missing+=(clang-tidy)
  fi
  ;;
--for-arm64)
  command -v aarch64-linux-gnu-g++ >/dev/null 2>&1 || missing+=(g++-aarch64-linux-gnu)
  command -v qemu-aarch64 >/dev/null 2>&1 || missing+=(qemu-user)
  ;;
esac
if [ ${#missing[@]} -gt 0 ]; then
  if command -v apt-get >/dev/null 2>&1; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
  else
    echo "setup: not found: ${missing[*]} (Debian's names): the tests that need them will be skipped" >&2
  fi
fi

# onnxruntime-node (a development dependency) would otherwise download CUDA libraries.
export ONNXRUNTIME_NODE_INSTALL=skip
stamp=node_modules/.resnode-lock
if [ ! -f "$stamp" ] || ! cmp -s package-lock.json "$stamp"; then
  # npm ci would empty the folder to which the link points, which another checkout uses.
  if [ -L node_modules ]; then
    echo "setup: node_modules is a link to $(readlink node_modules), whose packages are not those of package-lock.json: run scripts/setup.sh where it leads, or remove the link" >&2
    exit 1
  fi
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
fi

if [ "${1:-}" = --generate ]; then npx tsx scripts/generate-operations.ts; fi
node scripts/cmake-build.mjs
