// How whole the file is in which native code keeps what it measured.
#pragma once

#include <napi.h>

namespace resnode {

// text: a Uint8Array, the file's bytes. Returns { lines, damaged }.
Napi::Value countTuningCacheLines(const Napi::CallbackInfo& info);

}  // namespace resnode
