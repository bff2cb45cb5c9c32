#pragma once

#include "native/core/program.h"

namespace resnode {

// Whether a program means something. Throws Error("program/invalid") that names the layer, its kind and what is wrong.
void verify(const Program& program);

}  // namespace resnode
