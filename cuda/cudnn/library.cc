#include "library.h"

#include <dlfcn.h>
#include <link.h>

#include <filesystem>

namespace resnode::cuda {
namespace {

std::string fileOf(void* library) {
  link_map* map = nullptr;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) != 0 || !map || !map->l_name[0]) return kCudnnFile;
  return map->l_name;
}

template <class Function>
void load(void* library, const char* name, Function& function, std::string& missing) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function && missing.empty()) missing = name;
}

// The first function that the library lacks; empty: none.
std::string loadAll(void* library, cudnn::Functions& call) {
  std::string missing;
  load(library, "cudnnGetVersion", call.cudnnGetVersion, missing);
  load(library, "cudnnGetCudartVersion", call.cudnnGetCudartVersion, missing);
  load(library, "cudnnGetErrorString", call.cudnnGetErrorString, missing);
  load(library, "cudnnGetLastErrorString", call.cudnnGetLastErrorString, missing);
  load(library, "cudnnCreate", call.cudnnCreate, missing);
  load(library, "cudnnDestroy", call.cudnnDestroy, missing);
  load(library, "cudnnSetStream", call.cudnnSetStream, missing);
  load(library, "cudnnBackendCreateDescriptor", call.cudnnBackendCreateDescriptor, missing);
  load(library, "cudnnBackendDestroyDescriptor", call.cudnnBackendDestroyDescriptor, missing);
  load(library, "cudnnBackendFinalize", call.cudnnBackendFinalize, missing);
  load(library, "cudnnBackendSetAttribute", call.cudnnBackendSetAttribute, missing);
  load(library, "cudnnBackendGetAttribute", call.cudnnBackendGetAttribute, missing);
  load(library, "cudnnBackendExecute", call.cudnnBackendExecute, missing);
  return missing;
}

// cuDNN opens its companions by their bare names when an engine first wants them. One that the loader would not find is
// opened here by its full path: the loader then takes the open one.
bool openCompanion(const LibraryEnvironment& environment, const std::string& cudnnFolder, const std::string& file) {
  if (environment.loader && dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL)) return true;
  for (const std::string& place : companionPlaces(environment, cudnnFolder, file)) {
    std::error_code ignored;
    if (std::filesystem::exists(place, ignored) && dlopen(place.c_str(), RTLD_LAZY | RTLD_LOCAL)) return true;
  }
  return false;
}

// Empty: opened. Otherwise why not.
std::string tryToOpen(const std::string& path, CudnnLibrary& result) {
  std::error_code ignored;
  if (path != kCudnnFile && !std::filesystem::exists(path, ignored)) return "no such file";
  dlerror();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    return why ? why : "dlopen failed";
  }
  const std::string missing = loadAll(library, result.call);
  std::string why;
  if (!missing.empty()) why = "it has no " + missing;
  else if (result.call.cudnnGetVersion() / 10000 != 9) {
    why = "it is version " + std::to_string(result.call.cudnnGetVersion()) + ", and 9.x is wanted";
  }
  if (!why.empty()) {
    dlclose(library);
    return why;
  }
  result.path = fileOf(library);
  result.version = result.call.cudnnGetVersion();
  result.cudaMajor = static_cast<int>(result.call.cudnnGetCudartVersion() / 1000);
  return {};
}

}  // namespace

std::string CudnnLibrary::versionText() const {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
}

std::string CudnnLookup::summary() const {
  if (!library) return std::string("not found; to install it: ") + kInstallCudnn;
  const std::string text = library->versionText() + " (" + library->path + ")";
  return missing.empty() ? text : text + "; " + missing;
}

CudnnLookup lookUpCudnn(const LibraryEnvironment& environment) {
  CudnnLookup lookup;
  for (const std::string& place : cudnnPlaces(environment)) {
    auto library = std::make_shared<CudnnLibrary>();
    std::string why = tryToOpen(place, *library);
    if (why.empty()) {
      const std::string folder = std::filesystem::path(library->path).parent_path().string();
      const std::string major = std::to_string(library->cudaMajor);
      const std::string suffix = library->cudaMajor >= 13 ? "" : "-cu" + major;  // of NVIDIA's pip packages
      library->hasNvrtc = openCompanion(environment, folder, "libnvrtc.so." + major);
      if (!library->hasNvrtc) lookup.missing = "libnvrtc.so." + major + " was not found: pip install nvidia-cuda-nvrtc" + suffix;
      // Without it cuDNN 9.24 aborts the process at the first heuristic: "Cannot load symbol cublasLtGetVersion".
      if (!openCompanion(environment, folder, "libcublasLt.so." + major)) {
        why = "it needs libcublasLt.so." + major + ", which was not found: pip install nvidia-cublas" + suffix;
      }
    }
    lookup.attempts.push_back({place, why.empty() ? "opened" : why});
    if (!why.empty()) continue;
    lookup.library = std::move(library);
    break;
  }
  return lookup;
}

const CudnnLookup& cudnnOfThisProcess() {
  static const CudnnLookup* lookup = new CudnnLookup(lookUpCudnn(LibraryEnvironment::ofThisProcess()));  // never destroyed
  return *lookup;
}

}  // namespace resnode::cuda
