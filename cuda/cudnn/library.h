// cuDNN 9, found and opened at run time; never linked, never shipped. Without it the CUDA device works on our own kernels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/cudnn/api.h"
#include "cuda/library-paths.h"

namespace resnode::cuda {

// An opened library. Never closed: cuDNN's threads and caches outlive what we know of.
struct CudnnLibrary {
  cudnn::Functions call{};
  std::string path;       // of the file that the loader took
  size_t version = 0;     // 92400 is 9.24.0
  int cudaMajor = 0;      // of the CUDA that it was built for
  bool hasNvrtc = false;  // false: engines that compile at run time are left out (excluded.h)

  std::string versionText() const;
};

struct CudnnLookup {
  struct Attempt {
    std::string path;
    std::string outcome;  // "opened", or why not
  };
  std::shared_ptr<const CudnnLibrary> library;  // null: none was found
  std::vector<Attempt> attempts;
  std::string missing;  // empty, or what else should be installed, with the command
  std::string install;  // the command that installs one that this driver can run

  // One line: version and path, or that none was found and the command that installs it.
  std::string summary() const;
};

CudnnLookup lookUpCudnn(const LibraryEnvironment& environment);

// The same for this process's environment, looked up once.
const CudnnLookup& cudnnOfThisProcess();

}  // namespace resnode::cuda
