// Memory that JavaScript sees as ArrayBuffers and native code may hold beyond a call, without a copy.
#pragma once

#include <napi.h>

#include <memory>

#include "native/core/guarded-map.h"

namespace resnode {

// (path) → a file's bytes: small ones are read, large ones mapped read-only until the last owner goes.
Napi::Value mapFile(const Napi::CallbackInfo& info);

// (bytes) → memory of our own, not cleared; freed with the last owner.
Napi::Value allocateMemory(const Napi::CallbackInfo& info);

// (bytes) → false where they lie in a mapped file that was written to, or cut short, since.
Napi::Value isIntact(const Napi::CallbackInfo& info);

// (bytes) → whether mapFile gave them.
Napi::Value isOfFile(const Napi::CallbackInfo& info);

struct HeldMemory {
  std::shared_ptr<const void> owner;       // null: the bytes lie in neither
  std::shared_ptr<const GuardedMap> file;  // null: in no mapped file
  bool ofFile = false;                     // what mapFile gave, mapped or read
};

// What holds these bytes.
HeldMemory memoryOf(const void* bytes, size_t length);

}  // namespace resnode
