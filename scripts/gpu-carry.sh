#!/usr/bin/env bash
# Packs what a GPU machine without node, network and build tools needs beside the checkout for scripts/gpu-check.sh, in
# one file: node, the node_modules that the checks import, the addon, libresnode_cuda.so and the kernel tests.
#   scripts/gpu-carry.sh [FILE.tar.xz]    default build/gpu-carry.tar.xz
# Kernel tests and, where it is there, libresnode_cuda.so come from build/gpu (see gpu-check.sh --build), which is built
# for RESNODE_CUDA_ARCHITECTURES (default 90). oneDNN is not packed: the CPU device works only where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:-build/gpu-carry.tar.xz}
bash scripts/setup.sh
cmake -S . -B build/gpu "-DRESNODE_CUDA_ARCHITECTURES=${RESNODE_CUDA_ARCHITECTURES:-90}" -DRESNODE_KERNEL_TESTS=ON >/dev/null
cmake --build build/gpu --parallel "$(nproc)" --target resnode_cuda kernel-tests

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/build/carried" "$stage/build/Release" "$stage/build/gpu"
cp "$(readlink -f "$(command -v node)")" "$stage/build/carried/node"
cp build/Release/resnode.node build/Release/libresnode_cpu.so "$stage/build/Release/"
cp build/gpu/cuda/libresnode_cuda.so "$stage/build/Release/"
cp build/gpu/kernel-tests "$stage/build/gpu/"
git rev-parse --short HEAD >"$stage/build/carried/commit"
strip "$stage"/build/carried/node "$stage"/build/Release/*

# The packages that resnode, its tests and its benchmark on a GPU import, and what those need.
node --input-type=module -e '
import { cpSync, existsSync, readFileSync } from "node:fs";
const [target] = process.argv.slice(1);
const building = ["cmake-js", "node-addon-api"];
const own = Object.keys(JSON.parse(readFileSync("package.json", "utf8")).dependencies);
const wanted = [...own.filter((name) => !building.includes(name)), "tsx", "uvu"];
const folders = new Set();
for (const name of wanted) {
  const folder = `node_modules/${name}`;
  if (folders.has(folder) || !existsSync(folder)) continue;
  folders.add(folder);
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  wanted.push(...Object.keys(dependencies), ...Object.keys(optionalDependencies));
}
for (const folder of folders) cpSync(folder, `${target}/${folder}`, { recursive: true, filter: (path) => !/\.(map|md|cts)$/.test(path) });
' "$stage"
tar -cf - -C "$stage" . | xz -9 -T0 >"$file"
echo "$file: $(($(stat -c %s "$file") / 1000000)) MB"
