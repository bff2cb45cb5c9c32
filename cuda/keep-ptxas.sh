# Compiler launcher (cuda/CMakeLists.txt): runs nvcc and keeps what ptxas says of each kernel's registers and spills
# (-Xptxas=-v) beside the object, as OBJECT.ptxas; scripts/kernel-resources.mjs reads it. Everything else nvcc says is shown.
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
