#pragma once

#include <napi.h>

#include <memory>

#include "native/core/communicator.h"

namespace resnode {

// openCommunicator(kind, libraryFolder) returns a promise of { rank, size, sum(values), send(rank, bytes),
// hasMessage(rank), receive(rank), finish(), dispose() }.
Napi::Value openCommunicator(const Napi::CallbackInfo& info);

// The communicator for a device's thread in an object that openCommunicator made; null for null and undefined. Throws
// Error.
std::shared_ptr<Communicator> communicatorFromJs(const Napi::Value& value);

}  // namespace resnode
