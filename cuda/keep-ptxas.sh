# Compiler launcher (cuda/CMakeLists.txt): runs nvcc and keeps ptxas's report of each kernel's registers and spills
# (-Xptxas=-v) next to the object, as OBJECT.ptxas, for scripts/kernel-resources.mjs. Other output of nvcc is shown.
object=
previous=
for argument in "$@"; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done
[ -n "$object" ] || exec "$@"
"$@" 2>"$object.ptxas"
status=$?
grep -v -e '^ptxas info' -e '^ *[0-9]* bytes stack frame' -e '^ *$' "$object.ptxas" >&2
exit $status
