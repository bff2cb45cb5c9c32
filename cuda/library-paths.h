// Where NVIDIA's libraries may lie that are opened at run time: libcudnn.so.9, libnccl.so.2. Looks at folders only; starts
// no process (python3 -c would cost a second).
#pragma once

#include <string>
#include <vector>

namespace resnode::cuda {

inline constexpr const char* kCudnnFile = "libcudnn.so.9";
inline constexpr const char* kNcclFile = "libnccl.so.2";

// What the search depends on; tests make their own.
struct LibraryEnvironment {
  std::string cudnn, nccl;  // RESNODE_CUDNN, RESNODE_NCCL: a file or a folder, and then nothing else is tried
  std::string virtualEnv, condaPrefix;      // VIRTUAL_ENV, CONDA_PREFIX
  std::string pyenvRoot, home, path;        // PYENV_ROOT, HOME, PATH
  int cudaMajor = 13;                       // the newest CUDA that the driver runs; without one, that of our library
  bool loader = true;                       // ask the loader for the bare name (ldconfig, LD_LIBRARY_PATH)
  std::vector<std::string> systemFolders;   // of libraries: CUDA's, the distribution's
  std::vector<std::string> systemPrefixes;  // of pythons: /usr/local, /usr

  static LibraryEnvironment ofThisProcess();
};

// The command that installs a library of NVIDIA's of pip ("cudnn", "nccl") that this driver can run, and the variable that
// names one: "pip install nvidia-cudnn-cu12 (or set RESNODE_CUDNN to the file or its folder)".
std::string installCommand(const LibraryEnvironment& environment, const std::string& package);

// In the order in which they are tried: full paths, and the bare name for the loader.
std::vector<std::string> cudnnPlaces(const LibraryEnvironment& environment);
std::vector<std::string> ncclPlaces(const LibraryEnvironment& environment);

// What cuDNN itself opens at run time: `file` (libnvrtc.so.13) in NVIDIA's pip packages beside cuDNN, in CUDA's folders,
// in the pythons' folders.
std::vector<std::string> companionPlaces(const LibraryEnvironment& environment, const std::string& cudnnFolder,
                                         const std::string& file);

}  // namespace resnode::cuda
