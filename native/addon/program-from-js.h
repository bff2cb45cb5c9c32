#pragma once

#include <napi.h>

#include <memory>

#include "core/program.h"

namespace resnode {

// ts/program/program.ts → Program, whose processes are `communicator`'s. Throws Error("program/invalid") for ids out of range and unknown kinds.
std::shared_ptr<const Program> programFromJs(const Napi::Object& program, std::shared_ptr<Communicator> communicator);

}  // namespace resnode
