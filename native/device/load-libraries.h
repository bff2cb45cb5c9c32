// The libraries beside the addon, opened when they are asked for.
#pragma once

#include <memory>
#include <string>

#include "native/core/backend.h"
#include "native/core/communicator.h"

namespace resnode {

// Opens libresnode_<kind>.so in `folder` and makes its backend. Throws Error("device/unavailable", what was tried).
std::unique_ptr<Backend> loadBackend(const std::string& kind, const std::string& folder, const BackendOptions& options);

// What a backend library could open; where it cannot be loaded itself, `problem` says so.
DeviceList listDevices(const std::string& kind, const std::string& folder);

// Opens libresnode_<kind>.so in `folder` and enters its world of processes. Throws Error("communicator/unavailable").
std::shared_ptr<Communicator> loadCommunicator(const std::string& kind, const std::string& folder);

}  // namespace resnode
