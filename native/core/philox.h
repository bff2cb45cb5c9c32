// Philox4x32-10: four random words as a function of a key and a counter, so any of them can be computed without those
// before. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3. GPUs compute the same
// words.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define RESNODE_PHILOX __host__ __device__ inline
#else
#define RESNODE_PHILOX inline
#endif

namespace resnode {

struct PhiloxWords {
  uint32_t word[4];
};

RESNODE_PHILOX PhiloxWords philox(PhiloxWords counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint32_t* c = counter.word;
    const uint64_t first = uint64_t{0xD2511F53} * c[0], second = uint64_t{0xCD9E8D57} * c[2];
    counter = {{static_cast<uint32_t>(second >> 32) ^ c[1] ^ key0, static_cast<uint32_t>(second),
                static_cast<uint32_t>(first >> 32) ^ c[3] ^ key1, static_cast<uint32_t>(first)}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

}  // namespace resnode
