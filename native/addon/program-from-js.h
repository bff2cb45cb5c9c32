#pragma once

#include <napi.h>

#include <memory>

#include "native/core/program.h"

namespace resnode {

// ts/operations/program.ts → Program, whose processes are `communicator`'s and whose own functions `functions`. Throws Error("program/invalid") for a field that is
// missing, unknown or of another type, and for what verify.h refuses.
std::shared_ptr<const Program> programFromJs(const Napi::Value& program, std::shared_ptr<Communicator> communicator,
                                             std::shared_ptr<HostFunctions> functions = nullptr);

}  // namespace resnode
