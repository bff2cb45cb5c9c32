#!/usr/bin/env bash
# What only a GPU can show, in one run of under 10 minutes and without network: tests, parity, memory, sanitizers,
# benchmark. Each step has its own time limit and stops no other. Results: gpu-check.json and gpu-check.txt in
# ${OUT:-build/gpu-check}, written after every step. Exit status 0: all is well; 1: a step failed; 3: no GPU.
#
#   --carried FILE.tar.xz  what scripts/gpu-carry.sh packed (node, node_modules, built libraries, kernel tests)
#   --node FILE.xz         node alone
#   --build                build the CUDA library and the kernel tests here (cmake and nvcc)
#   --golden DIR           recorded Caffe (default ../shared/golden)
#   --models DIR           trained models and their images (default ../shared)
#   --only STEP,…          some of: build device kernels parity tests memory accuracy memcheck racecheck training bench
#   --limit SECONDS        for all (default 570)
#   --depths 50,101,152  --batches 1,8,…  --precisions float16,…  --peers amp,compile    what the benchmark runs
#
# A GPU machine that is lent for minutes at a time takes several calls: the benchmark alone with --only bench and its
# options, torch above all takes long to compile.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-build/gpu-check}
mkdir -p "$out"

# The system's xz, else Python's.
unpack() { if command -v xz >/dev/null; then xz -dc "$1"; else python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$1"; fi; }

rest=()
node=$(command -v node || true)
while [ $# -gt 0 ]; do
  case $1 in
    --carried) mkdir -p build/carried; unpack "$2" | tar -xf - -C .; node=$PWD/build/carried/node; shift 2 ;;
    --node) mkdir -p build/carried; unpack "$2" >build/carried/node; chmod +x build/carried/node; node=$PWD/build/carried/node; shift 2 ;;
    *) rest+=("$1"); shift ;;
  esac
done
if [ -z "$node" ]; then
  echo '{"format":"resnode-gpu-check/1","status":"failed","reason":"node was not found: --node FILE.xz or --carried FILE.tar.xz","steps":[]}' >"$out/gpu-check.json"
  echo "gpu-check: node was not found: --node FILE.xz or --carried FILE.tar.xz" | tee "$out/gpu-check.txt" >&2
  exit 1
fi
exec "$node" scripts/gpu-check/main.mjs --out "$out" "${rest[@]}"
