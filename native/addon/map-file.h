#pragma once

#include <napi.h>

#include <memory>

namespace resnode {

// A file mapped read-only; unmapped with the last owner.
Napi::Value mapFile(const Napi::CallbackInfo& info);

// The mapping that holds these bytes, or null.
std::shared_ptr<const void> mappingOf(const void* bytes, size_t length);

}  // namespace resnode
