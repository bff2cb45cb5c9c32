// NCCL 2, which is found and opened at run time if several processes train; never linked or shipped.
#pragma once

#include <memory>
#include <string>

#include "cuda/library-paths.h"
#include "cuda/nccl/api.h"

namespace resnode::cuda {

// An open library. It is never closed, because NCCL has threads.
struct NcclLibrary {
  nccl::Functions call{};
  std::string path;  // of the file that the loader opened
  int version = 0;   // 22304 is 2.23.4

  std::string versionText() const;
};

struct NcclLookup {
  std::shared_ptr<const NcclLibrary> library;  // null: not found
  std::string tried;                           // every path that was tried and its error, one per line
};

NcclLookup lookUpNccl(const LibraryEnvironment& environment);

// The lookup for this process's environment, done once.
const NcclLookup& ncclOfThisProcess();

}  // namespace resnode::cuda
