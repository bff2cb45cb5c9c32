// RESNODE_EMULATED_TRACE: what was put on streams, in order.
#include <cstdio>
#include <cstdlib>

#include "test/cuda/emulator/runtime/state.h"

namespace resnode::emulator {

void trace(const char* what) {
  const char* path = std::getenv("RESNODE_EMULATED_TRACE");
  std::FILE* file = path && *path ? std::fopen(path, "a") : nullptr;
  if (!file) return;
  std::fprintf(file, "%s\n", what);
  std::fclose(file);
}

}  // namespace resnode::emulator
