#pragma once

#include <napi.h>

#include <memory>

#include "native/addon/device.h"

namespace resnode {

// Makes a NativeExecutable of ts/native/binding.ts.
Napi::Value executableToJs(Napi::Env env, const std::shared_ptr<Device>& device,
                           const std::shared_ptr<const Program>& program,
                           const std::shared_ptr<Executable>& executable);

}  // namespace resnode
