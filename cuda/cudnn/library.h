// cuDNN 9, which is found and opened at run time, never linked or shipped. Without it the CUDA device uses our own
// kernels only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/cudnn/api.h"
#include "cuda/library-paths.h"

namespace resnode::cuda {

// An open library. It is never closed, because cuDNN's threads and caches outlive our handles.
struct CudnnLibrary {
  cudnn::Functions call{};
  std::string path;       // of the file that the loader opened
  size_t version = 0;     // 92400 is 9.24.0
  int cudaMajor = 0;      // of the CUDA for which it was built
  bool hasNvrtc = false;  // false: engines that compile at run time are excluded (excluded.h)

  std::string versionText() const;
};

struct CudnnLookup {
  struct Attempt {
    std::string path;
    std::string outcome;  // "opened", or why not
  };
  std::shared_ptr<const CudnnLibrary> library;  // null: not found
  std::vector<Attempt> attempts;
  std::string missing;  // what else should be installed, with the command; empty: nothing
  std::string install;  // the command that installs a cuDNN for this driver

  // One line: version and path, or that none was found and the command that installs one.
  std::string summary() const;
};

CudnnLookup lookUpCudnn(const LibraryEnvironment& environment);

// The lookup for this process's environment, done once.
const CudnnLookup& cudnnOfThisProcess();

}  // namespace resnode::cuda
