#!/usr/bin/env bash
# Builds build/Release/libresnode_cuda11.so, the CUDA backend for drivers from 450 on, next to the addon. It needs the
# compiler of CUDA 11.8: the one in CUDA11 (a folder with bin/nvcc), else the one that scripts/install-cuda-11.8.sh
# installs.
#   scripts/build-cuda11.sh [OUT]    OUT: the addon's folder, default build/Release
#   RESNODE_CUDA_ARCHITECTURES       default 80; all: every one that it supports
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-build/Release}
cuda=${CUDA11:-$(bash scripts/install-cuda-11.8.sh)}
# CUDA 11.8 supports compilers up to GCC 11, but Debian 12's GCC 12 compiles all of this.
cmake -S . -B build/cuda11 -DCMAKE_CUDA_COMPILER="$cuda/bin/nvcc" -DCMAKE_CUDA_FLAGS="-allow-unsupported-compiler" \
  -DRESNODE_CUDA_ARCHITECTURES="${RESNODE_CUDA_ARCHITECTURES:-80}" >/dev/null
cmake --build build/cuda11 --parallel "$(nproc)" --target resnode_cuda >/dev/null
mkdir -p "$out"
cp build/cuda11/cuda/libresnode_cuda11.so "$out/"
strip --strip-unneeded "$out/libresnode_cuda11.so"
ls -l "$out/libresnode_cuda11.so" | awk '{ print $NF ": " $5 " bytes" }'
