#pragma once

#include <napi.h>

#include <memory>

#include "native/addon/device.h"

namespace resnode {

inline constexpr napi_type_tag kPlanTag = {0x6a1c5f0e9d3b4e21, 0x8f27c4d1b6a09e53};

// Makes a NativePlan of ts/native/binding.ts.
Napi::Value planToJs(Napi::Env env, const std::shared_ptr<Device>& device, const std::shared_ptr<Plan>& plan);

}  // namespace resnode
