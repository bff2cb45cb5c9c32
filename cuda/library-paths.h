// Where NVIDIA's libraries that are opened at run time may be found: libcudnn.so.9, libnccl.so.2. The search only looks
// at folders and starts no process (python3 -c would take a second).
#pragma once

#include <string>
#include <vector>

namespace resnode::cuda {

inline constexpr const char* kCudnnFile = "libcudnn.so.9";
inline constexpr const char* kNcclFile = "libnccl.so.2";

// The search's inputs, which tests can set.
struct LibraryEnvironment {
  std::string cudnn, nccl;              // RESNODE_CUDNN, RESNODE_NCCL: a file or folder; nothing else is tried then
  std::string virtualEnv, condaPrefix;  // VIRTUAL_ENV, CONDA_PREFIX
  std::string pyenvRoot, home, path;    // PYENV_ROOT, HOME, PATH
  // The newest CUDA that the driver supports; without a driver, that of our library.
  int cudaMajor = 13;
  bool loader = true;                       // ask the loader for the bare name (ldconfig, LD_LIBRARY_PATH)
  std::vector<std::string> systemFolders;   // with libraries: CUDA's and the distribution's
  std::vector<std::string> systemPrefixes;  // of python: /usr/local, /usr

  static LibraryEnvironment ofThisProcess();
};

// How to install NVIDIA's pip package ("cudnn", "nccl") that this driver supports, and the variable that names an
// existing one: "pip install nvidia-cudnn-cu12 (or set RESNODE_CUDNN to the file or its folder)".
std::string installCommand(const LibraryEnvironment& environment, const std::string& package);

// Candidates in the order in which they are tried: full paths, and the bare name for the loader.
std::vector<std::string> cudnnPlaces(const LibraryEnvironment& environment);
std::vector<std::string> ncclPlaces(const LibraryEnvironment& environment);

// Candidates for a library that cuDNN itself opens at run time, for example `file` = libnvrtc.so.13: in NVIDIA's pip
// packages beside cuDNN, and in the folders of CUDA and of every python.
std::vector<std::string> companionPlaces(const LibraryEnvironment& environment, const std::string& cudnnFolder,
                                         const std::string& file);

}  // namespace resnode::cuda
