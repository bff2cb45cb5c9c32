#include "cuda/library-paths.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

namespace resnode::cuda {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Empty if the path is relative: the current folder must not decide what is loaded.
std::string folderVariable(const char* name) {
  std::string value = variable(name);
  return fs::path(value).is_absolute() ? value : "";
}

// The entries of a folder whose names begin like this, sorted. Empty if the folder does not exist.
std::vector<std::string> entries(const std::string& folder, const std::string& beginning) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (fs::directory_iterator i(folder, ignored), end; !ignored && i != end; i.increment(ignored)) {
    if (i->path().filename().string().rfind(beginning, 0) == 0) found.push_back(i->path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// The prefixes of every python3 on PATH, both as called (a virtual environment's link) and resolved (the link's
// target).
std::vector<std::string> prefixesOnPath(const std::string& path) {
  std::vector<std::string> prefixes;
  for (size_t from = 0; from <= path.size();) {
    const size_t to = std::min(path.find(':', from), path.size());
    const fs::path python = fs::path(path.substr(from, to - from)) / "python3";
    from = to + 1;
    std::error_code ignored;
    if (!python.is_absolute() || !fs::exists(python, ignored)) continue;
    prefixes.push_back(python.parent_path().parent_path().string());
    const fs::path target = fs::canonical(python, ignored);
    if (!ignored) prefixes.push_back(target.parent_path().parent_path().string());
  }
  return prefixes;
}

// <prefix>/lib/python3.X/{site,dist}-packages of every known python; the user's choice comes first.
std::vector<std::string> packageFolders(const LibraryEnvironment& environment) {
  std::vector<std::string> prefixes{environment.virtualEnv, environment.condaPrefix};
  for (std::string& prefix : prefixesOnPath(environment.path)) prefixes.push_back(std::move(prefix));
  const std::string pyenv = !environment.pyenvRoot.empty() ? environment.pyenvRoot
                            : environment.home.empty()     ? ""
                                                           : environment.home + "/.pyenv";
  if (!pyenv.empty()) {
    for (std::string& version : entries(pyenv + "/versions", "3")) prefixes.push_back(std::move(version));
  }
  if (!environment.home.empty()) prefixes.push_back(environment.home + "/.local");
  prefixes.insert(prefixes.end(), environment.systemPrefixes.begin(), environment.systemPrefixes.end());

  std::vector<std::string> folders;
  for (const std::string& prefix : prefixes) {
    if (prefix.empty()) continue;
    for (const char* lib : {"/lib", "/lib64"}) {  // lib64: compiled packages on Fedora and its kin
      for (const std::string& python : entries(prefix + lib, "python3")) {
        for (const char* packages : {"/site-packages", "/dist-packages"}) {  // dist-packages: Debian and its kin
          std::error_code ignored;
          if (fs::is_directory(python + packages, ignored)) folders.push_back(python + packages);
        }
      }
    }
  }
  return folders;
}

std::vector<std::string> withoutRepetition(std::vector<std::string> places) {
  std::vector<std::string> once;
  for (std::string& place : places) {
    if (std::find(once.begin(), once.end(), place) == once.end()) once.push_back(std::move(place));
  }
  return once;
}

// `chosen`: the file or folder that the user names; `package`: NVIDIA's name in pip.
std::vector<std::string> placesOf(const LibraryEnvironment& environment, const std::string& chosen,
                                  const std::string& file, const std::string& package) {
  if (!chosen.empty()) {
    std::error_code ignored;
    if (!fs::is_directory(chosen, ignored)) return {chosen};
    return {chosen + "/" + file, chosen + "/lib/" + file};
  }
  std::vector<std::string> places;
  if (environment.loader) places.push_back(file);
  for (const std::string& folder : environment.systemFolders) places.push_back(folder + "/" + file);
  if (!environment.condaPrefix.empty()) places.push_back(environment.condaPrefix + "/lib/" + file);
  for (const std::string& folder : packageFolders(environment))
    places.push_back(folder + "/nvidia/" + package + "/lib/" + file);
  return withoutRepetition(std::move(places));
}

}  // namespace

LibraryEnvironment LibraryEnvironment::ofThisProcess() {
  LibraryEnvironment environment;
  environment.cudnn = variable("RESNODE_CUDNN");
  environment.nccl = variable("RESNODE_NCCL");
  environment.virtualEnv = folderVariable("VIRTUAL_ENV");
  environment.condaPrefix = folderVariable("CONDA_PREFIX");
  environment.pyenvRoot = folderVariable("PYENV_ROOT");
  environment.home = folderVariable("HOME");
  environment.path = variable("PATH");
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
  environment.cudaMajor = (driver > 0 ? driver : CUDART_VERSION) / 1000;
#ifdef __aarch64__
  const std::string machine = "aarch64-linux-gnu", target = "sbsa-linux";
#else
  const std::string machine = "x86_64-linux-gnu", target = "x86_64-linux";
#endif
  environment.systemFolders = {"/usr/lib/" + machine,
                               "/usr/lib64",
                               "/usr/local/lib",
                               "/usr/local/cuda/lib64",
                               "/usr/local/cuda/targets/" + target + "/lib",
                               "/opt/cuda/lib64"};
  environment.systemPrefixes = {"/usr/local", "/usr"};
  return environment;
}

std::string installCommand(const LibraryEnvironment& environment, const std::string& package) {
  std::string upper = package;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  return "pip install nvidia-" + package + "-cu" + std::to_string(std::clamp(environment.cudaMajor, 11, 13)) +
         " (or set RESNODE_" + upper + " to the file or its folder)";
}

std::vector<std::string> cudnnPlaces(const LibraryEnvironment& environment) {
  return placesOf(environment, environment.cudnn, kCudnnFile, "cudnn");
}

std::vector<std::string> ncclPlaces(const LibraryEnvironment& environment) {
  return placesOf(environment, environment.nccl, kNcclFile, "nccl");
}

std::vector<std::string> companionPlaces(const LibraryEnvironment& environment, const std::string& cudnnFolder,
                                         const std::string& file) {
  // nvidia-cublas-cu12 and similar packages unpack to cublas/lib, cuda_nvrtc/lib; those for CUDA 13 share cu13/lib.
  const char* const kPackages[] = {"/cu13/lib/", "/cublas/lib/", "/cuda_nvrtc/lib/"};
  std::vector<std::string> places{cudnnFolder + "/" + file};
  for (const char* package : kPackages) places.push_back(cudnnFolder + "/../.." + package + file);
  for (const std::string& folder : environment.systemFolders) places.push_back(folder + "/" + file);
  if (!environment.condaPrefix.empty()) places.push_back(environment.condaPrefix + "/lib/" + file);
  for (const std::string& folder : packageFolders(environment)) {
    for (const char* package : kPackages) places.push_back(folder + "/nvidia" + package + file);
  }
  return withoutRepetition(std::move(places));
}

}  // namespace resnode::cuda
