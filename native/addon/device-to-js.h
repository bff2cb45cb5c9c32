#pragma once

#include <napi.h>

#include <memory>
#include <set>
#include <vector>

#include "native/addon/device.h"
#include "native/core/host-functions.h"

namespace resnode {

// The devices of one environment.
struct Environment {
  std::set<std::shared_ptr<Device>> devices;
  std::vector<std::weak_ptr<HostFunctions>> functions;
};

// What an environment that goes away (a worker that is terminated) does while its references may still be let go: ends
// the devices' threads and releases what they worked on.
void closeAll(Environment& environment);

// openDevice(kind, options) of ts/native/binding.ts. Throws Error("device/unavailable").
Napi::Value openDevice(const Napi::CallbackInfo& info);

// listDevices(kind, libraryFolder) of ts/native/binding.ts.
Napi::Value listDevices(const Napi::CallbackInfo& info);

}  // namespace resnode
