// Memory that JavaScript sees as ArrayBuffers and that native code may keep beyond a call, without a copy.
#pragma once

#include <napi.h>

#include <memory>

#include "native/core/guarded-map.h"

namespace resnode {

// (path) → a file's bytes. Small files are read; large ones are mapped read-only until the last owner is gone.
Napi::Value mapFile(const Napi::CallbackInfo& info);

// (bytes) → memory that we allocate. It is not cleared, and is freed with its last owner.
Napi::Value allocateMemory(const Napi::CallbackInfo& info);

// (bytes) → false if they belong to a mapped file that was changed or truncated since.
Napi::Value isIntact(const Napi::CallbackInfo& info);

// (bytes) → whether mapFile returned them.
Napi::Value isOfFile(const Napi::CallbackInfo& info);

struct HeldMemory {
  std::shared_ptr<const void> owner;       // null: the bytes are in neither kind of region
  std::shared_ptr<const GuardedMap> file;  // null: they are not in a mapped file
  bool ofFile = false;                     // mapFile returned them, mapped or read
};

// The owner of these bytes.
HeldMemory memoryOf(const void* bytes, size_t length);

}  // namespace resnode
