// Whether the file that keeps native measurements is intact.
#pragma once

#include <napi.h>

namespace resnode {

// text: the file's bytes as a Uint8Array. Returns { lines, damaged }.
Napi::Value countTuningCacheLines(const Napi::CallbackInfo& info);

}  // namespace resnode
