#!/usr/bin/env bash
# Tests the package: packs it, installs it in empty folders without compiler, cmake and nvcc, counts the installed
# files, and uses it with every supported Node in a minimal Debian 12 that has none of these tools. This needs root and
# debootstrap; without them, an empty PATH is used instead. Cleans up after itself. --tarball FILE.tgz: test this one.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
fashion=$repository/examples/fashion
most_packages=12
most_megabytes=75 # for everything that one `npm install resnode` installs
nodes="20 22 24"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "pack-check: $*"; }

if [ "${1:-}" = --tarball ]; then
  tarball=$(realpath "$2")
else
  npm pack --loglevel=warn --pack-destination "$work" >"$work/pack.log" 2>&1 || { tail -20 "$work/pack.log"; exit 1; }
  grep -A99 '^libresnode_cpu' "$work/pack.log" | grep glibc
  tarball=$(echo "$work"/*.tgz)
fi
packed=$(stat -c %s "$tarball")
unpacked=$(tar -xzf "$tarball" --to-command='wc -c' | awk '{ sum += $1 } END { print sum }')
say "$(basename "$tarball"): $((packed / 1000)) kB packed, $((unpacked / 1000)) kB unpacked, $(tar -tzf "$tarball" | wc -l) files"

# 1. The bare system, with only node added.
node=$(readlink -f "$(command -v node)")
root=$work/root
if [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; then
  mirror=$(sed -n 's/^\(URIs:\|deb\) *\(http[^ ]*debian\)\( .*\)\?$/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1 || true)
  debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$work/debootstrap.log" 2>&1 ||
    { tail -5 "$work/debootstrap.log"; exit 1; }
  cp "$node" "$root/usr/bin/node"
  say "bare system: Debian $(cat "$root/etc/debian_version") (debootstrap, minbase) in a chroot"
  inside() { (cd "$root" && chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root "$@"); }
else
  root=
  say "bare system: this one with an empty PATH (debootstrap or root is not to be had)"
fi

# 2. Folders on PATH with npm and a shell, but without build tools.
mkdir -p "$work/bin"
for tool in node npm sh env uname cat ls rm mkdir dirname basename sed grep; do
  ln -s "$(readlink -f "$(command -v $tool)")" "$work/bin/$tool"
done
[ -n "$root" ] || inside() { env -i PATH="$work/bin" HOME="$work" "$@"; }
for tool in cc c++ gcc g++ clang cmake make ninja nvcc; do
  ! inside sh -c "command -v $tool" >/dev/null || { say "$tool is in the bare system"; exit 1; }
done


# 3. Nine of ten images are classified correctly, and doctor reports no problem.
# check_use RUNNER FOLDER [NODE]: RUNNER is inside or env; FOLDER holds app and fashion as RUNNER sees them.
check_use() {
  local node="${3:-node}" resnode="$2/node_modules/.bin/resnode" examples="$2/../fashion"
  "$1" "$node" "$resnode" classify "${images[@]/#/$examples/images/}" --model "$examples/deploy.prototxt" \
    --weights "$examples/model.caffemodel" --preprocess "$examples/preprocess.json" --top 1 --json >"$work/classified.json"
  "$1" "$node" "$resnode" doctor --json >"$work/doctor.json"
  node "$repository/scripts/pack-check.mjs" "$work/classified.json" "$fashion/images/truth.tsv" "$work/doctor.json"
}

apps=$work/apps
[ -z "$root" ] || apps=$root/apps
mkdir -p "$apps"
cp -r "$fashion" "$apps/fashion"
seen=${apps#"$root"}
mapfile -t images < <(cd "$fashion/images" && ls -- *.png)
for options in "" --ignore-scripts; do
  name=app${options}
  mkdir "$apps/$name"
  (cd "$apps/$name" && env -i PATH="$work/bin" HOME="$HOME" npm install $options --no-audit --no-fund --loglevel=error "$tarball")
  packages=$(find "$apps/$name/node_modules" -mindepth 2 -name package.json -path '*/node_modules/*' |
    grep -cE '/node_modules/(@[^/]+/)?[^/]+/package\.json$')
  bytes=$(find "$apps/$name/node_modules" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }')
  megabytes=$(((bytes + 999999) / 1000000))
  say "npm install $options: $packages packages, $megabytes MB"
  [ "$packages" -le $most_packages ] || { say "more than $most_packages packages"; exit 1; }
  [ "$megabytes" -le $most_megabytes ] || { say "more than $most_megabytes MB"; exit 1; }
  check_use inside "$seen/$name"
done

# 4. Every supported Node.
for version in $nodes; do
  cp "$(bash scripts/install-node.sh "$version")" "$apps/node-$version"
  say "Node $(inside "$seen/node-$version" --version)"
  check_use inside "$seen/app" "$seen/node-$version"
done

# 5. Without a prebuilt addon and without tools: one message that names everything that is missing.
package=node_modules/resnode
rm -rf "$apps/app/$package/prebuilds"
if inside node "$seen/app/$package/scripts/install.mjs" 2>"$work/missing.log"; then
  say "the install script is content without an addon"; exit 1
fi
for word in compiler CMake make oneDNN "apt-get install g++ cmake make libdnnl-dev" "npm install cmake-js node-addon-api && npm rebuild resnode"; do
  grep -q "$word" "$work/missing.log" || { say "the install script does not name $word:"; cat "$work/missing.log"; exit 1; }
done
say "without an addon and tools: $(sed -n 2p "$work/missing.log" | cut -d' ' -f2-)"

# 6. With tools (this machine's), it is built from source.
(cd "$apps/app" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error cmake-js node-addon-api)
if node "$apps/app/$package/scripts/install.mjs" >"$work/build.log" 2>&1; then
  say "built from source on this machine, and used here"
  check_use env "$apps/app"
else
  say "the build from source failed:"; tail -20 "$work/build.log"; exit 1
fi
say "ok"
