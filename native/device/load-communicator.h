#pragma once

#include <memory>
#include <string>

#include "native/core/communicator.h"

namespace resnode {

// Opens libresnode_<kind>.so in `folder` and enters its world of processes. Throws Error("communicator/unavailable").
std::shared_ptr<Communicator> loadCommunicator(const std::string& kind, const std::string& folder);

}  // namespace resnode
