#!/usr/bin/env bash
# Checks that need a GPU, in two runs without network: one of at most 560 s (kernels, recorded nets, training and
# forward next to torch, operations), then one of at most 150 s (accuracy, memory, racecheck). Each step has its own
# time limit, does not stop the others, and writes its own steps/NAME.json. After every step, gpu-check.json and
# gpu-check.txt in ${OUT:-build/gpu-check} collect all results. Exit status 0: all steps passed; 1: a step failed; 3: no GPU.
#
#   --plan                 print the steps in order, with their time limits, and the size of the packed files
#   --pack [FILE]          pack what a machine without node, network and compilers needs (scripts/gpu-carry.sh), at most
#                          64 MiB with the checkout: unpacked in an empty folder or a checkout there, this script finds it without a flag
#   --pack-models [FILE]   pack the trained models and images for the second run, with the same limit
#   --second               the second run
#   --carried FILE.tar.xz  a file of --pack or --pack-models; may be given twice
#   --node FILE.xz         only node
#   --build                build the CUDA library and the kernel tests here (cmake and nvcc)
#   --golden DIR           recorded Caffe (default: the packed one, else ../shared/golden)
#   --models DIR           trained models and their images (default: the packed ones, else ../shared)
#   --only STEP,…          only these steps, which may belong to neither run: --plan lists them
#   --limit SECONDS        for all steps (default 560, for the second run 150)
#   --depths 50,101,152  --batches 1,8,…  --precisions float16,…  --peers half,amp,…    what the step bench runs
#
# Measurements of convolutions are kept in $OUT/cache/resnode and packed by the next --pack, so that the next run on the
# same kind of GPU, driver and cuDNN need not measure again.
set -euo pipefail
from=$PWD
cd "$(dirname "$0")/.."
# Paths are relative to the folder from which the check was called.
named() { case $1 in /* | '') echo "$1" ;; *) echo "$from/$1" ;; esac; }
out=${OUT:+$(named "$OUT")}
out=${out:-build/gpu-check}
mkdir -p "$out"

# Uses the system's xz, else Python's.
unpack() {
  if command -v xz >/dev/null; then xz -dc "$1"
  elif command -v python3 >/dev/null; then python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$1"
  else echo "gpu-check: $1 is packed by xz, and neither xz nor python3 is here to unpack it" >&2; exit 1; fi
}

case ${1:-} in
  --pack) exec bash scripts/gpu-carry.sh "$(named "${2:-$PWD/build/gpu-carry.tar.xz}")" ;;
  --pack-models) exec bash scripts/gpu-carry.sh --models "$(named "${2:-$PWD/build/gpu-models.tar.xz}")" ;;
esac

rest=()
node=$(command -v node || true)
[ ! -x build/carried/node ] || node=$PWD/build/carried/node
while [ $# -gt 0 ]; do
  case $1 in
    --carried | --node)
      file=$(named "${2:-}")
      [ -r "$file" ] || { echo "gpu-check: $1 takes a file that can be read, but received ${2:-nothing}" >&2; exit 2; } ;;&
    --carried) mkdir -p build/carried; unpack "$file" | tar -xf - -C .; [ ! -x build/carried/node ] || node=$PWD/build/carried/node; shift 2 ;;
    --node) mkdir -p build/carried; unpack "$file" >build/carried/node; chmod +x build/carried/node; node=$PWD/build/carried/node; shift 2 ;;
    --golden | --models) rest+=("$1"); shift; [ $# -eq 0 ] || { rest+=("$(named "$1")"); shift; } ;;
    *) rest+=("$1"); shift ;;
  esac
done
if [ -z "$node" ]; then
  echo '{"format":"resnode-gpu-check/1","status":"failed","reason":"node was not found: --node FILE.xz or --carried FILE.tar.xz","steps":[]}' >"$out/gpu-check.json"
  echo "gpu-check: node was not found: --node FILE.xz or --carried FILE.tar.xz" | tee "$out/gpu-check.txt" >&2
  exit 1
fi
exec "$node" scripts/gpu-check/main.mjs --out "$out" "${rest[@]}"
