// OpenMP's threads, on which oneDNN computes. Their runtime, libgomp, is a dependency of oneDNN's library only. We do
// not link it, so a process that does not use oneDNN loads neither.
#pragma once

#include <cstdint>

namespace resnode::cpu {

// How many threads work for the calling thread.
void setOpenMpThreads(int threads);

// Calls call(context, unit) for 0 ≤ unit < units, in equal shares.
void runOnOpenMp(int64_t units, void (*call)(const void* context, int64_t unit), const void* context);

}  // namespace resnode::cpu
