#!/usr/bin/env bash
# Cross-compiles the addon and the CPU library for 64-bit Arm with Debian's compiler, into build/linux-arm64/Release,
# without CUDA and MPI. (On an Arm machine, npm run build uses what is installed.)
#   scripts/build-arm64.sh
set -euo pipefail
cd "$(dirname "$0")/.."
out=build/linux-arm64
if ! command -v aarch64-linux-gnu-g++ >/dev/null 2>&1; then
  echo "build-arm64: no cross compiler was found; on Debian: apt-get install g++-aarch64-linux-gnu" >&2
  exit 1
fi
sysroot=$(bash scripts/install-arm64.sh)
rm -f "$out/Release/.built"
modules=$(realpath node_modules)
cmake -S . -B "$out" -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-gnu.cmake" -DCMAKE_PREFIX_PATH="$sysroot/usr" \
  -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$PWD/$out/Release" \
  -DCMAKE_JS_INC="$modules/node-api-headers/include;$modules/node-addon-api" >/dev/null
cmake --build "$out" --parallel "$(nproc)" --target resnode resnode_cpu >/dev/null
touch "$out/Release/.built"
ls -l "$out"/Release/*resnode* | awk '{ print $NF ": " $5 " bytes" }'
