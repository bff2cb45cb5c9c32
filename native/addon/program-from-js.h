#pragma once

#include <napi.h>

#include <memory>

#include "core/program.h"

namespace resnode {

// ts/program/program.ts → Program. Throws Error("program/invalid") for ids out of range and unknown kinds.
std::shared_ptr<const Program> programFromJs(const Napi::Object& program);

}  // namespace resnode
