// A library of NVIDIA's that is opened at run time: cuDNN, NCCL. Nothing of it need be installed to build or load ours.
#pragma once

#include <dlfcn.h>

#include <string>

namespace resnode::cuda {

// What dlopen gave, or, null, why not.
struct OpenedLibrary {
  void* handle = nullptr;
  std::string why;
};

// `path`: a file, or the library's bare name, which the loader searches for.
OpenedLibrary openSharedLibrary(const std::string& path);

// Where the loader found it; `otherwise` where it does not say.
std::string fileOf(void* library, const std::string& otherwise);

// The first function that is missing goes to `missing`, which is empty before.
template <class Function>
void loadFunction(void* library, const char* name, Function& function, std::string& missing) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function && missing.empty()) missing = name;
}

}  // namespace resnode::cuda
