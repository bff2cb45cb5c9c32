#pragma once

#include <napi.h>

#include <memory>

#include "native/core/communicator.h"

namespace resnode {

// openCommunicator(kind, libraryFolder): a promise of { rank, size, sum(values), send(rank, bytes), hasMessage(rank),
// receive(rank), finish(), dispose() }.
Napi::Value openCommunicator(const Napi::CallbackInfo& info);

// Of an object made by it, for a device's thread; null of null and undefined. Throws Error.
std::shared_ptr<Communicator> communicatorFromJs(const Napi::Value& value);

}  // namespace resnode
