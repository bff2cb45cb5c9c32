// Functions compiled for several instruction sets; the loader chooses the best that the processor has.
#pragma once

#include <features.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define RESNODE_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define RESNODE_VECTORISED
#endif
#ifdef __SANITIZE_ADDRESS__  // only once: each inlined function would be compiled again with all its checks
#define RESNODE_INLINE inline
#else
#define RESNODE_INLINE inline __attribute__((always_inline))
#endif
