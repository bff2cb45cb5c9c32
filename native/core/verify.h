#pragma once

#include "native/core/program.h"

namespace resnode {

// Checks that a program is valid. Throws Error("program/invalid") that names the layer, its kind and the problem.
void verify(const Program& program);

}  // namespace resnode
