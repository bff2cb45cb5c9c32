#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "native/addon/device.h"

namespace resnode {

inline constexpr napi_type_tag kBufferTag = {0x7d3e91b06fa24c58, 0xc4285b9e0d17f36a};

// Makes a NativeBuffer of ts/native/binding.ts.
Napi::Value bufferToJs(Napi::Env env, const std::shared_ptr<Device>& device, const std::shared_ptr<Buffer>& buffer);

// The buffer in a JavaScript value. `what` describes the argument in errors: "input \"data\"". Throws
// Error("argument/invalid") for a buffer of another device.
std::shared_ptr<Buffer> bufferOf(const Napi::Value& value, const std::shared_ptr<Device>& device,
                                 const std::string& what);

}  // namespace resnode
