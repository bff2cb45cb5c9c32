// The libraries in the addon's folder, which are opened on demand.
#pragma once

#include <memory>
#include <string>

#include "native/core/backend.h"
#include "native/core/communicator.h"

namespace resnode {

// Opens libresnode_<kind>.so in `folder` and creates its backend. Throws Error("device/unavailable") that lists what
// was tried.
std::unique_ptr<Backend> loadBackend(const std::string& kind, const std::string& folder, const BackendOptions& options);

// The devices that a backend library could open. If the library cannot be loaded, `problem` says why.
DeviceList listDevices(const std::string& kind, const std::string& folder);

// Opens libresnode_<kind>.so in `folder` and joins its group of processes. Throws Error("communicator/unavailable").
std::shared_ptr<Communicator> loadCommunicator(const std::string& kind, const std::string& folder);

}  // namespace resnode
