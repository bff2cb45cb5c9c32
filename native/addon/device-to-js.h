#pragma once

#include <napi.h>

#include <memory>
#include <set>

#include "device.h"

namespace resnode {

// The devices of one environment; its clean-up hook joins their threads before anything they use goes away.
struct Environment {
  std::set<std::shared_ptr<Device>> devices;
};

// openDevice(kind, options) of ts/native/binding.ts. Throws Error("device/unavailable").
Napi::Value openDevice(const Napi::CallbackInfo& info);

// listDevices(kind, libraryFolder) of ts/native/binding.ts.
Napi::Value listDevices(const Napi::CallbackInfo& info);

}  // namespace resnode
