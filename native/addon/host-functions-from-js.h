#pragma once

#include <napi.h>

#include <memory>

#include "native/core/host-functions.h"

namespace resnode {

struct Environment;

// Wraps a HostFunction of ts/native/binding.ts, to be called from a device's thread; null for null.
std::shared_ptr<HostFunctions> hostFunctionsFromJs(Napi::Env env, const Napi::Value& function);

// Releases all device threads that wait for an environment that is being torn down. Called on JavaScript's thread.
void abandonHostCalls(Environment& environment);

}  // namespace resnode
