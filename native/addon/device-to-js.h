#pragma once

#include <napi.h>

#include <memory>
#include <set>
#include <vector>

#include "native/addon/device.h"
#include "native/core/host-functions.h"

namespace resnode {

// The devices of one JavaScript environment.
struct Environment {
  std::set<std::shared_ptr<Device>> devices;
  std::vector<std::weak_ptr<HostFunctions>> functions;
};

// Called when an environment is torn down (a worker is terminated), while its references can still be released. Ends
// the devices' threads and releases what they worked on.
void closeAll(Environment& environment);

// openDevice(kind, options) of ts/native/binding.ts. Throws Error("device/unavailable").
Napi::Value openDevice(const Napi::CallbackInfo& info);

// listDevices(kind, libraryFolder) of ts/native/binding.ts.
Napi::Value listDevices(const Napi::CallbackInfo& info);

}  // namespace resnode
