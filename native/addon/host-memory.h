// Memory that JavaScript sees as ArrayBuffers and native code may hold beyond a call, without a copy.
#pragma once

#include <napi.h>

#include <memory>

namespace resnode {

// (path) → a file mapped read-only; unmapped with the last owner.
Napi::Value mapFile(const Napi::CallbackInfo& info);

// (bytes) → memory of our own, not cleared; freed with the last owner.
Napi::Value allocateMemory(const Napi::CallbackInfo& info);

struct HeldMemory {
  std::shared_ptr<const void> owner;  // null: the bytes lie in neither
  bool isFile = false;
};

// What holds these bytes.
HeldMemory memoryOf(const void* bytes, size_t length);

}  // namespace resnode
