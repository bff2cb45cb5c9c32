#pragma once

#include <napi.h>

#include <memory>

#include "native/core/program.h"

namespace resnode {

// Reads the program of ts/operations/program.ts, which will use these communicator and functions. Throws
// Error("program/invalid") for a field that is missing, unknown or of another type, and for what verify.h refuses.
std::shared_ptr<const Program> programFromJs(const Napi::Value& program, std::shared_ptr<Communicator> communicator,
                                             std::shared_ptr<HostFunctions> functions = nullptr);

}  // namespace resnode
