// Placement of buffers for test/compile/place-buffers.test.ts. Reads the alignment and the number of buffers, then
// bytes, from and to of each; writes the arena's bytes, the sum of separate buffers, and the offset of each.
#include "native/core/place-buffers.h"

#include <iostream>

#include "native/core/error.h"

int main() {
  size_t alignment = 0, count = 0;
  while (std::cin >> alignment >> count) {
    std::vector<resnode::PlannedBuffer> buffers(count);
    for (auto& each : buffers) std::cin >> each.bytes >> each.from >> each.to;
    try {
      const resnode::ArenaSize size = resnode::placeBuffers(buffers, alignment);
      std::cout << size.bytes << ' ' << size.separateBytes;
      for (const auto& each : buffers) std::cout << ' ' << each.offset;
    } catch (const resnode::Error& error) {
      std::cout << error.code();
    }
    std::cout << '\n';
  }
}
