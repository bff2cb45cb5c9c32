#pragma once

#include "native/core/program.h"

namespace resnode::cpu {

// Whether a deconvolution adds up several channels: oneDNN's affair, on OpenMP's threads.
bool isDense(const Deconvolution& deconvolution, const Shape& in);

}  // namespace resnode::cpu
