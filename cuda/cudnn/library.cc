#include "cuda/cudnn/library.h"

#include <algorithm>
#include <filesystem>

#include "native/core/shared-library.h"

namespace resnode::cuda {
namespace {

// The first function that the library lacks, or an empty string.
std::string loadAll(const SharedLibrary& library, cudnn::Functions& call) {
  std::string missing;
  loadFunction(library, "cudnnGetVersion", call.cudnnGetVersion, missing);
  loadFunction(library, "cudnnGetCudartVersion", call.cudnnGetCudartVersion, missing);
  loadFunction(library, "cudnnGetErrorString", call.cudnnGetErrorString, missing);
  loadFunction(library, "cudnnGetLastErrorString", call.cudnnGetLastErrorString, missing);
  loadFunction(library, "cudnnCreate", call.cudnnCreate, missing);
  loadFunction(library, "cudnnDestroy", call.cudnnDestroy, missing);
  loadFunction(library, "cudnnSetStream", call.cudnnSetStream, missing);
  loadFunction(library, "cudnnBackendCreateDescriptor", call.cudnnBackendCreateDescriptor, missing);
  loadFunction(library, "cudnnBackendDestroyDescriptor", call.cudnnBackendDestroyDescriptor, missing);
  loadFunction(library, "cudnnBackendFinalize", call.cudnnBackendFinalize, missing);
  loadFunction(library, "cudnnBackendSetAttribute", call.cudnnBackendSetAttribute, missing);
  loadFunction(library, "cudnnBackendGetAttribute", call.cudnnBackendGetAttribute, missing);
  loadFunction(library, "cudnnBackendExecute", call.cudnnBackendExecute, missing);
  return missing;
}

// cuDNN opens its companion libraries by their bare names when an engine first needs them. If the loader would not find
// one, we open it by its full path. The loader then returns the open library.
bool openCompanion(const LibraryEnvironment& environment, const std::string& cudnnFolder, const std::string& file) {
  const auto open = [](const std::string& path) {
    SharedLibrary library(path, SharedLibrary::Binding::lazy);
    library.keepOpen();
    return library.isOpen();
  };
  if (environment.loader && open(file)) return true;
  const auto places = companionPlaces(environment, cudnnFolder, file);
  return std::any_of(places.begin(), places.end(), open);
}

// Why the library could not be opened; empty: it is open.
std::string tryToOpen(const std::string& path, CudnnLibrary& result) {
  SharedLibrary library(path);
  if (!library.isOpen()) return library.why();
  const std::string missing = loadAll(library, result.call);
  if (!missing.empty()) return "it has no " + missing;
  if (result.call.cudnnGetVersion() / 10000 != 9) {
    return "it is version " + std::to_string(result.call.cudnnGetVersion()) + ", and 9.x is wanted";
  }
  library.keepOpen();
  result.path = library.file();
  result.version = result.call.cudnnGetVersion();
  result.cudaMajor = static_cast<int>(result.call.cudnnGetCudartVersion() / 1000);
  return {};
}

}  // namespace

std::string CudnnLibrary::versionText() const {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

std::string CudnnLookup::summary() const {
  if (!library) return std::string("not found; to install it: ") + install;
  const std::string text = library->versionText() + " (" + library->path + ")";
  return missing.empty() ? text : text + "; " + missing;
}

CudnnLookup lookUpCudnn(const LibraryEnvironment& environment) {
  CudnnLookup lookup;
  lookup.install = installCommand(environment, "cudnn");
  for (const std::string& place : cudnnPlaces(environment)) {
    auto library = std::make_shared<CudnnLibrary>();
    std::string why = tryToOpen(place, *library);
    if (why.empty() && library->cudaMajor > environment.cudaMajor) {
      why = "it is for CUDA " + std::to_string(library->cudaMajor) + ", and the driver runs CUDA " +
            std::to_string(environment.cudaMajor) + " at most: " + lookup.install;
    }
    if (why.empty()) {
      const std::string folder = std::filesystem::path(library->path).parent_path().string();
      const std::string major = std::to_string(library->cudaMajor);
      const std::string suffix = library->cudaMajor >= 13 ? "" : "-cu" + major;  // as in NVIDIA's pip packages
      library->hasNvrtc = openCompanion(environment, folder, "libnvrtc.so." + major);
      if (!library->hasNvrtc)
        lookup.missing = "libnvrtc.so." + major + " was not found: pip install nvidia-cuda-nvrtc" + suffix;
      // Without this library cuDNN 9.24 aborts the process at the first heuristic: "Cannot load symbol
      // cublasLtGetVersion".
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
  static const CudnnLookup* lookup =
      new CudnnLookup(lookUpCudnn(LibraryEnvironment::ofThisProcess()));  // never destroyed
  return *lookup;
}

}  // namespace resnode::cuda
