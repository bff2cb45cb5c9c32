// OpenMP's threads, on which oneDNN computes. Their runtime, libgomp, comes with oneDNN's library and with nothing else: it is
// not linked, so that a process which needs neither has neither.
#pragma once

#include <cstdint>

namespace resnode::cpu {

// How many threads work for the thread that calls this.
void setOpenMpThreads(int threads);

// Calls call(context, unit) for 0 ≤ unit < units, in equal shares.
void runOnOpenMp(int64_t units, void (*call)(const void* context, int64_t unit), const void* context);

}  // namespace resnode::cpu
