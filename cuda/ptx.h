// The instructions that C++ cannot express, one function each: mma.sync, ldmatrix, cp.async. For fragments and their
// layouts see the PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type", "... mma.m16n8k8" (.tf32) and
// "... mma.m16n8k32" (.s8, .u8). In a build with RESNODE_EMULATE each has a version for the host.
//
// A warp holds A (16 × k), B (k × 8) and C, D (16 × 8). Let group = lane / 4 and t = lane % 4. Seen as 32-bit words
// along k (two 16-bit elements, one tf32, or four integers), all shapes are the same, 8 words deep:
//   a[0] row group, word t       a[1] row group + 8, word t      a[2] row group, word t + 4    a[3] row group + 8, word
//   t + 4
//   b[0] column group, word t    b[1] column group, word t + 4
//   d[0], d[1] row group, columns 2t and 2t + 1                  d[2], d[3] row group + 8, the same columns
#pragma once

#include <type_traits>

#include "cuda/launch.h"

// mma.sync of these shapes and types, and cp.async, need sm_80. Below it the bodies of tensor-core kernels are empty
// (such kernels are refused there), and copies are ordinary loads and stores.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define RESNODE_HAS_MMA 1
#else
#define RESNODE_HAS_MMA 0
#endif

#ifdef RESNODE_EMULATE
#include "test/cuda/emulator/ptx.h"
#else
#ifdef __CUDACC__

namespace resnode::cuda {

using SharedAddress = uint32_t;  // in bytes, in the shared window

__device__ __forceinline__ SharedAddress sharedAddress(const void* shared) {
  return static_cast<SharedAddress>(__cvta_generic_to_shared(shared));
}

// Copies `bytes` (4, 8 or 16, with both sides aligned to it) from global to shared memory, or writes zeros without
// reading if not `valid`. This thread sees the result after waitForCopies, and other threads after a barrier that
// follows it. Copies of 16 bytes bypass L1 (.cg); shorter ones cannot.
template <int bytes>
__device__ __forceinline__ void copyAsync(SharedAddress to, const void* from, bool valid) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16, "what cp.async can copy");
#if RESNODE_HAS_MMA
  const int read = valid ? bytes : 0;
  if constexpr (bytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(read) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(from), "n"(bytes), "r"(read)
                 : "memory");
  }
#else
  const uint32_t* words = static_cast<const uint32_t*>(from);
  uint32_t copied[bytes / 4];
  for (int i = 0; i < bytes / 4; ++i) copied[i] = valid ? words[i] : 0;
  for (int i = 0; i < bytes / 4; ++i) {
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(to + 4 * i), "r"(copied[i]) : "memory");
  }
#endif
}

// Makes the copies since the last commit one group.
__device__ __forceinline__ void commitCopies() {
#if RESNODE_HAS_MMA
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most `pending` of the latest groups are incomplete.
template <int pending>
__device__ __forceinline__ void waitForCopies() {
#if RESNODE_HAS_MMA
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
#endif
}

// Loads four matrices of 8 rows × 16 bytes. Lane 8·i + j gives the address of row j of matrix i. Word t of row `group`
// of matrix i is returned in r[i].
__device__ __forceinline__ void loadMatrices(uint32_t (&r)[4], SharedAddress row) {
#if RESNODE_HAS_MMA
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
#endif
}

// d += a·b with float32 sums. T: __half and __nv_bfloat16 (m16n8k16), float (m16n8k8, words rounded by roundToTf32).
template <class T>
__device__ __forceinline__ void multiplyAdd(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

#define RESNODE_MMA(type, name)                                                                                      \
  template <>                                                                                                        \
  __device__ __forceinline__ void multiplyAdd<type>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { \
    asm volatile("mma.sync.aligned." name " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"         \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                    \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                                \
  }
#if RESNODE_HAS_MMA
RESNODE_MMA(__half, "m16n8k16.row.col.f32.f16.f16.f32")
RESNODE_MMA(__nv_bfloat16, "m16n8k16.row.col.f32.bf16.bf16.f32")
RESNODE_MMA(float, "m16n8k8.row.col.f32.tf32.tf32.f32")
#endif
#undef RESNODE_MMA

// sum + the four products of the bytes of a and b (dp4a, sm_61). T (int8_t, uint8_t) says whether a is signed; b is.
template <class T>
__device__ __forceinline__ int addProducts(int sum, uint32_t a, uint32_t b) {
  int result;
  if constexpr (std::is_signed_v<T>) asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  else asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
  return result;
}

// d += a·b of 8-bit integers (m16n8k32) with int32 sums. T says whether a is signed. A word holds four integers along
// k.
template <class T>
__device__ __forceinline__ void multiplyAdd(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);

#define RESNODE_MMA(type, name)                                                                                    \
  template <>                                                                                                      \
  __device__ __forceinline__ void multiplyAdd<type>(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { \
    asm volatile("mma.sync.aligned." name " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"       \
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                                                  \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                              \
  }
#if RESNODE_HAS_MMA
RESNODE_MMA(int8_t, "m16n8k32.row.col.s32.s8.s8.s32")
RESNODE_MMA(uint8_t, "m16n8k32.row.col.s32.u8.s8.s32")
#endif
#undef RESNODE_MMA

// Rounds the bits of a float32 to the nearest tf32 (10 bits of mantissa), ties away from zero.
__device__ __forceinline__ uint32_t roundToTf32(uint32_t bits) {
  uint32_t rounded = 0;
#if RESNODE_HAS_MMA
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
#endif
  return rounded;
}

}  // namespace resnode::cuda

#endif
#endif
