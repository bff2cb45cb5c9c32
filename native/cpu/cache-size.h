// The size of a core's own cache.
#pragma once

#include <cstdint>
#if defined(__linux__)
#include <unistd.h>
#endif

namespace resnode::cpu {

// Bytes of the L2 cache; 0 if the system does not report it.
inline int64_t ownCacheBytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  static const int64_t kBytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return kBytes > 0 ? kBytes : 0;
#else
  return 0;
#endif
}

}  // namespace resnode::cpu
