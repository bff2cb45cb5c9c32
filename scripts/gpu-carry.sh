#!/usr/bin/env bash
# Packs what a GPU machine without node, network and build tools needs for scripts/gpu-check.sh, in one file of at most
# 64 MiB together with the checkout: the sources that the checks run, node, the node_modules that they import, the addon with the libraries that it
# needs, libresnode_cuda.so, the kernel tests, recorded Caffe, and what an earlier run measured of convolutions. Unpacked in
# an empty folder it works by itself; in a checkout it adds what the checkout lacks.
#   scripts/gpu-carry.sh [FILE.tar.xz]             default build/gpu-carry.tar.xz
#   scripts/gpu-carry.sh --models FILE.tar.xz      the trained models and images of the second call instead
# Kernel tests and libresnode_cuda.so come from build/gpu (see gpu-check.sh --build), which is built for
# RESNODE_CUDA_ARCHITECTURES (default 90).
# RESNODE_GOLDEN and RESNODE_MODELS: where recorded Caffe and models are (default ../shared/golden, ../shared).
set -euo pipefail
cd "$(dirname "$0")/.."
golden=${RESNODE_GOLDEN:-../shared/golden}
models=${RESNODE_MODELS:-../shared}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/build/carried"

# The limit of a lent machine, for the packed file and the checkout together.
pack() {
  tar -cf - -C "$stage" . | xz -9 -T0 >"$1"
  local bytes checkout most=$((64 * 1024 * 1024))
  bytes=$(stat -c %s "$1")
  checkout=$(git ls-files -z --cached --others --exclude-standard | xargs -0 stat -c %s 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }')
  echo "$1: $((bytes / 1024 / 1024)) MiB ($bytes bytes), with the checkout $(((bytes + checkout) / 1024 / 1024)) MiB of the 64 MiB that may travel"
  [ $((bytes + checkout)) -le "$most" ] || { echo "gpu-carry: that is too much" >&2; exit 1; }
}

if [ "${1:-}" = --models ]; then
  mkdir -p "$stage/build/carried/models" "$stage/build/carried/data"
  cp -R "$models/models/imagenet-resnet18" "$stage/build/carried/models/"
  cp -R "$models/data/imagenet-samples" "$models/data/synset_words.txt" "$stage/build/carried/data/"
  chmod -R u+w "$stage/build/carried"  # otherwise it could not be unpacked over itself
  pack "${2:-build/gpu-models.tar.xz}"
  exit 0
fi

file=${1:-build/gpu-carry.tar.xz}
bash scripts/setup.sh
cmake -S . -B build/gpu "-DRESNODE_CUDA_ARCHITECTURES=${RESNODE_CUDA_ARCHITECTURES:-90}" -DRESNODE_KERNEL_TESTS=ON >/dev/null
cmake --build build/gpu --parallel "$(nproc)" --target resnode_cuda kernel-tests

mkdir -p "$stage/build/Release" "$stage/build/gpu"
cp "$(readlink -f "$(command -v node)")" "$stage/build/carried/node"
# The stamp says that the build is complete: without it the addon does not count.
cp build/Release/resnode.node build/Release/.built build/Release/libresnode_cpu.so "$stage/build/Release/"
cp build/gpu/cuda/libresnode_cuda.so "$stage/build/Release/"
cp build/gpu/kernel-tests "$stage/build/gpu/"
git rev-parse --short HEAD >"$stage/build/carried/commit"
chmod u+w "$stage"/build/Release/*
strip --strip-unneeded "$stage"/build/carried/node "$stage"/build/Release/* "$stage/build/gpu/kernel-tests"

# The files that the checks run, in their current state.
git ls-files -z --cached --others --exclude-standard -- package.json tsconfig.json scripts ts test bench examples |
  while IFS= read -r -d '' source; do [ ! -f "$source" ] || printf '%s\0' "$source"; done |
  tar --null -cf - -T - | tar -xf - -C "$stage"

# The packages that resnode, its tests and its GPU benchmark import, with their dependencies.
node --input-type=module -e '
import { cpSync, existsSync, readFileSync } from "node:fs";
const [target] = process.argv.slice(1);
const own = Object.keys(JSON.parse(readFileSync("package.json", "utf8")).dependencies);
const wanted = [...own, "h5wasm", "@dagrejs/dagre", "uplot", "tsx", "uvu"];
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
# What the steps kernels, goldens, parity and tests replay.
if [ -d "$golden" ]; then
  mkdir -p "$stage/build/carried/golden"
  for folder in layers mini-resnet rules weights solver train recipe; do
    [ ! -d "$golden/$folder" ] || cp -R "$golden/$folder" "$stage/build/carried/golden/"
  done
  chmod -R u+w "$stage/build/carried/golden"
else
  echo "gpu-carry: $golden is not here (RESNODE_GOLDEN): recorded Caffe is left out" >&2
fi
if [ -d build/gpu-check/cache/resnode ]; then cp -R build/gpu-check/cache/resnode "$stage/build/carried/tuning-cache"; fi

# On a lent machine it is too late to notice missing files, so the packed copy must open the CPU device here.
found=$(cd "$stage" && env -i PATH=/usr/bin:/bin HOME="$stage" build/carried/node --import tsx ts/cli/main.ts doctor --json || true)
"$stage/build/carried/node" -e '
const { findings = [] } = JSON.parse(process.argv[1] || "{}");
const device = findings.find(({ name }) => name === "CPU device");
if (device?.ok) process.exit(0);
console.error(`gpu-carry: what was packed does not work by itself: ${device?.found ?? "doctor printed nothing"}`);
process.exit(1);
' "$found"
rm -rf "$stage/.cache"
pack "$file"
