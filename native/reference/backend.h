#pragma once

#include <memory>

#include "native/core/backend.h"

namespace resnode::reference {

// Runs every operation in naive loops on one thread. Slow; it defines the correct results.
std::unique_ptr<Backend> createBackend();

}  // namespace resnode::reference
