#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "native/addon/device.h"

namespace resnode {

inline constexpr napi_type_tag kParametersTag = {0x2f9b7d4c1e8a4063, 0xb1d35e6f7a2c8094};

using MappedFiles = std::vector<std::shared_ptr<const GuardedMap>>;

// Reads ParameterData[] of ts/operations/program.ts. Bytes in memory of host-memory.h are shared, others are copied.
// `files`: set to the mapped files among them.
std::vector<ParameterSource> sourcesFromJs(const Napi::Array& list, const Program& program, MappedFiles& files);

// Throws Error("weights/changed") if a file changed, so that bytes read from it may be wrong.
void checkIntact(const MappedFiles& files);

// Makes a NativeParameters of ts/native/binding.ts.
Napi::Value parametersToJs(Napi::Env env, const std::shared_ptr<Device>& device,
                           const std::shared_ptr<const Program>& program,
                           const std::shared_ptr<Parameters>& parameters);

}  // namespace resnode
