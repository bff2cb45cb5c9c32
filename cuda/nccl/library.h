// NCCL 2, found and opened at run time where several processes train; never linked, never shipped.
#pragma once

#include <memory>
#include <string>

#include "cuda/library-paths.h"
#include "cuda/nccl/api.h"

namespace resnode::cuda {

// An opened library. Never closed: NCCL has threads.
struct NcclLibrary {
  nccl::Functions call{};
  std::string path;  // of the file that the loader took
  int version = 0;   // 22304 is 2.23.4

  std::string versionText() const;
};

struct NcclLookup {
  std::shared_ptr<const NcclLibrary> library;  // null: none was found
  std::string tried;                           // every place, and why not, a line each
};

NcclLookup lookUpNccl(const LibraryEnvironment& environment);

// The same for this process's environment, looked up once.
const NcclLookup& ncclOfThisProcess();

}  // namespace resnode::cuda
