#pragma once

#include <memory>

#include "native/core/backend.h"

namespace resnode::reference {

// Every operation in naive loops on one thread: slow, and the definition of right.
std::unique_ptr<Backend> createBackend();

}  // namespace resnode::reference
