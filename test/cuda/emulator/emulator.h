// Runs the grids of cuda/kernels on the CPU. cuda/launch.h includes this file if RESNODE_EMULATE is defined, and the
// .cu files are then compiled as C++ (CUDA's own headers make __global__, __device__ and the like empty there).
//
// Blocks run one after another. A block's threads have separate stacks (fibers.h), and each runs until it waits at a
// barrier. What would hang or be undefined on a GPU is thrown here as Misuse: barriers and warp operations that not all
// threads reach (including exited threads), lanes outside the mask, launches beyond the limits of every GPU, too much
// shared memory. Shared memory is filled with garbage at the start of a block, has exactly the requested size, and is
// aligned no better than declared, so that AddressSanitizer and UBSan notice what a GPU may tolerate. No locks:
// launches wait for each other.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "native/core/error.h"

// The code that checks kernels is not itself sanitized.
#define RESNODE_UNWATCHED __attribute__((no_sanitize("address", "undefined")))

namespace resnode::emulator {

// An error of a kernel or its launch. Codes: emulator/configuration, /divergence, /lane, /shared-memory, /trap.
class Misuse : public Error {
 public:
  using Error::Error;
};

// The order in which a block's threads (between barriers) and blocks run, which correct kernels do not notice. Forward
// and shuffled advance the warps side by side. Reverse runs each warp as far as possible before the next one, so that
// one is a barrier ahead.
enum class Order { forward, reverse, shuffled };
void setOrder(Order order, unsigned seed = 1);  // initially from RESNODE_EMULATED_ORDER (forward, reverse, shuffled)

// Whether the kernels of this process are compiled with AddressSanitizer.
bool areKernelsSanitized();

struct Launch {
  const void* kernel = nullptr;
  dim3 blocks, threads;
  size_t sharedBytes = 0;
  void (*thread)(const void* bytes) = nullptr;  // the kernel with its arguments, which are plain data
  std::vector<std::max_align_t> bytes = {};
  size_t sharedLimit = 48 * 1024;  // of static and dynamic shared memory together
};

// Throws Misuse. Checks what a launch checks; `optInBytes`: the limit that cudaFuncSetAttribute set for the kernel.
void checkLaunch(const Launch& launch, size_t optInBytes);
// Throws Misuse, and what the threads throw.
void runGrid(const Launch& launch);
// runtime/streams.cc: checks, then runs thread(bytes) in each thread of the grid, or records it if the stream captures.
// Throws Error as cuda/launch.h does. It does not depend on the kernel and takes only plain values, because what a
// launch constructs or destroys is compiled for every kernel.
void submit(const void* kernel, const dim3& blocks, const dim3& threads, size_t sharedBytes, cudaStream_t stream,
            void (*thread)(const void* bytes), const void* bytes, size_t count);

struct Site {
  const char* file;
  int line;
};

void waitForBlock(Site site);
int laneOfThread();
unsigned lanesAlive();
[[noreturn]] void misuse(const char* code, const std::string& message, Site site);

// A meeting of the lanes of a mask: see warpExchange.
struct Meeting {
  unsigned mask = 0, arrived = 0;
  int readers = 0;
  size_t size = 0;
  const char* operation = nullptr;
  Site site{};
  std::vector<std::max_align_t> values;  // 32 × size bytes
  bool isReduced = false;                // see Lanes::once
  RESNODE_UNWATCHED char* value(int lane) { return reinterpret_cast<char*>(values.data()) + lane * size; }
};
// The meeting that the running thread reaches. The thread then publishes its value there, and waits for the others.
Meeting* join(unsigned mask, size_t size, const char* operation, Site site);
void waitForLanes(Meeting* meeting);

// The values that the lanes of the mask published.
template <class T>
class Lanes {
 public:
  explicit Lanes(Meeting* meeting) : meeting_(meeting) {}
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;
  RESNODE_UNWATCHED ~Lanes() { --meeting_->readers; }
  RESNODE_UNWATCHED T operator[](int lane) const {
    if (lane < 0 || lane > 31 || !(meeting_->mask >> lane & 1)) {
      misuse("emulator/lane",
             std::string(meeting_->operation) + " reads lane " + std::to_string(lane) + ", which its mask leaves out",
             meeting_->site);
    }
    T value;
    std::memcpy(static_cast<void*>(&value), meeting_->value(lane), sizeof(T));
    return value;
  }
  // Runs once for all lanes, when all values are there: the first lane that continues calls reduce(T* values), which
  // may change them.
  template <class Reduce>
  RESNODE_UNWATCHED void once(Reduce reduce) const {
    if (!meeting_->isReduced) reduce(reinterpret_cast<T*>(meeting_->value(0)));
    meeting_->isReduced = true;
  }

 private:
  Meeting* meeting_;
};

// Every lane of `mask` (all of which must reach the same point with the same mask) publishes a value and sees
// everyone's. Shuffles, votes and the host versions of tensor-core instructions use this:
//   const auto lanes = warpExchange(0xffffffff, fragment);  ... lanes[7].a[0] ...
template <class T>
RESNODE_UNWATCHED Lanes<T> warpExchange(unsigned mask, const T& value, const char* operation = "warpExchange",
                                        const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  static_assert(std::is_trivially_copyable_v<T>, "lanes exchange plain data");
  Meeting* meeting = join(mask, sizeof(T), operation, {file, line});
  std::memcpy(meeting->value(laneOfThread()), static_cast<const void*>(&value), sizeof(T));
  waitForLanes(meeting);
  return Lanes<T>(meeting);
}

// A __shared__ array of the running block.
struct SharedSlot {
  uint64_t block = 0;
  void* memory = nullptr;
};
void* sharedArray(SharedSlot& slot, size_t bytes, size_t alignment, Site site);
void* dynamicShared();

template <class T>
RESNODE_UNWATCHED T shuffle(unsigned mask, T value, int width, const char* operation, Site site,
                            int (*source)(int lane, int operand, int width), int operand) {
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) {
    misuse("emulator/lane",
           std::string(operation) + ": a width of " + std::to_string(width) + " is no power of two up to 32", site);
  }
  const Lanes<T> lanes = warpExchange(mask, value, operation, site.file, site.line);
  const int lane = laneOfThread();
  return lanes[source(lane, operand, width)];
}

}  // namespace resnode::emulator

#define RESNODE_SHARED(type, name, extents)                                               \
  [[maybe_unused]] static type name##_declared extents;                                   \
  static ::resnode::emulator::SharedSlot name##_slot;                                     \
  auto& name = *static_cast<decltype(name##_declared)*>(::resnode::emulator::sharedArray( \
      name##_slot, sizeof name##_declared, __alignof__(name##_declared), {__FILE__, __LINE__}))
#define RESNODE_DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(::resnode::emulator::dynamicShared())

#define __launch_bounds__(...)
// Values that must stay in registers on a GPU; the host's compiler may inline them as it likes.
#undef __forceinline__
#define __forceinline__ inline

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

#define RESNODE_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(RESNODE_SITE) { resnode::emulator::waitForBlock({file, line}); }
inline void __syncwarp(unsigned mask = 0xffffffff, RESNODE_SITE) {
  resnode::emulator::warpExchange(mask, '\0', "__syncwarp", file, line);
}
inline unsigned __activemask() { return resnode::emulator::lanesAlive(); }  // all lanes that have not ended
inline void __threadfence() {}
inline void __threadfence_block() {}
[[noreturn]] inline void __trap(RESNODE_SITE) { resnode::emulator::misuse("emulator/trap", "__trap()", {file, line}); }

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, RESNODE_SITE) {
  return resnode::emulator::shuffle(
      mask, value, width, "__shfl_sync", {file, line},
      [](int self, int from, int w) { return (self & ~(w - 1)) | (from & (w - 1)); }, lane);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, RESNODE_SITE) {
  return resnode::emulator::shuffle(
      mask, value, width, "__shfl_xor_sync", {file, line},
      [](int self, int x, int w) { return ((self ^ x) & ~(w - 1)) > (self | (w - 1)) ? self : self ^ x; }, bits);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, RESNODE_SITE) {
  return resnode::emulator::shuffle(
      mask, value, width, "__shfl_down_sync", {file, line},
      [](int self, int d, int w) { return (self & (w - 1)) + d < w ? self + d : self; }, static_cast<int>(delta));
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, RESNODE_SITE) {
  return resnode::emulator::shuffle(
      mask, value, width, "__shfl_up_sync", {file, line},
      [](int self, int d, int w) { return (self & (w - 1)) >= d ? self - d : self; }, static_cast<int>(delta));
}

inline unsigned __ballot_sync(unsigned mask, int predicate, RESNODE_SITE) {
  const auto lanes = resnode::emulator::warpExchange(mask, predicate, "__ballot_sync", file, line);
  unsigned votes = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if (mask >> lane & 1 && lanes[lane]) votes |= 1u << lane;
  }
  return votes;
}
inline int __any_sync(unsigned mask, int predicate, RESNODE_SITE) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, RESNODE_SITE) {
  return __ballot_sync(mask, predicate, file, line) == mask;
}

#undef RESNODE_SITE

template <class T>
T atomicAdd(T* address, std::common_type_t<T> value) {
  const T old = *address;
  *address = old + value;
  return old;
}
template <class T>
T atomicMax(T* address, std::common_type_t<T> value) {
  const T old = *address;
  if (value > old) *address = value;
  return old;
}
template <class T>
T atomicMin(T* address, std::common_type_t<T> value) {
  const T old = *address;
  if (value < old) *address = value;
  return old;
}
template <class T>
T atomicExch(T* address, std::common_type_t<T> value) {
  const T old = *address;
  *address = value;
  return old;
}
template <class T>
T atomicCAS(T* address, std::common_type_t<T> expected, std::common_type_t<T> value) {
  const T old = *address;
  if (old == expected) *address = value;
  return old;
}

// Loads and stores with cache hints.
template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class T>
T __ldcg(const T* address) {
  return *address;
}
template <class T>
T __ldcs(const T* address) {
  return *address;
}
template <class T>
void __stcs(T* address, std::common_type_t<T> value) {
  *address = value;
}
template <class T>
void __stcg(T* address, std::common_type_t<T> value) {
  *address = value;
}

// Arithmetic. Macros where the C library declares the same name.
#define __expf(x) expf(x)
#define __exp2f(x) exp2f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __powf(x, y) powf(x, y)
#define __tanhf(x) tanhf(x)
#define rsqrtf(x) (1.0f / sqrtf(x))
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __saturatef(float a) { return a > 0 ? (a < 1 ? a : 1.0f) : 0.0f; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
namespace resnode::emulator {
template <class To, class From>
To bitsAs(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}
}  // namespace resnode::emulator
inline int __float_as_int(float x) { return resnode::emulator::bitsAs<int>(x); }
inline unsigned __float_as_uint(float x) { return resnode::emulator::bitsAs<unsigned>(x); }
inline float __int_as_float(int x) { return resnode::emulator::bitsAs<float>(x); }
inline float __uint_as_float(unsigned x) { return resnode::emulator::bitsAs<float>(x); }

// CUDA's min and max accept mixed integers; for floats, NaN is ignored (fminf).
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  if constexpr (std::is_floating_point_v<std::common_type_t<A, B>>) return fmin(a, b);
  else return static_cast<std::common_type_t<A, B>>(a) < static_cast<std::common_type_t<A, B>>(b) ? a : b;
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  if constexpr (std::is_floating_point_v<std::common_type_t<A, B>>) return fmax(a, b);
  else return static_cast<std::common_type_t<A, B>>(a) > static_cast<std::common_type_t<A, B>>(b) ? a : b;
}
