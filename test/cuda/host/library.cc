#include "cuda/cudnn/library.h"

#include <algorithm>

#include "test/cuda/host/main.h"

namespace resnode::cuda {
namespace {

using test::expect;
using test::same;
namespace fs = std::filesystem;

void put(const char* library, const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  fs::copy_file(library, path);
}

// No variables, no system folders, no loader.
LibraryEnvironment nowhere() {
  LibraryEnvironment environment;
  environment.loader = false;
  return environment;
}

std::string packages(const std::string& prefix) { return prefix + "/lib/python3.11/site-packages/nvidia"; }

void putCudnn(const std::string& prefix) {
  put(FAKE_CUDNN, packages(prefix) + "/cudnn/lib/libcudnn.so.9");
  put(EMPTY_LIBRARY, packages(prefix) + "/cu13/lib/libcublasLt.so.13");
  put(EMPTY_LIBRARY, packages(prefix) + "/cu13/lib/libnvrtc.so.13");
}

std::string outcomeOf(const CudnnLookup& lookup, const std::string& path) {
  for (const CudnnLookup::Attempt& attempt : lookup.attempts) {
    if (attempt.path == path) return attempt.outcome;
  }
  return "not tried";
}

RESNODE_TEST(library, "cuDNN is found in every python's packages, the user's choice first") {
  const test::TemporaryFolder folder;
  const std::string root = folder.path;
  LibraryEnvironment environment = nowhere();
  environment.virtualEnv = root + "/venv";
  environment.condaPrefix = root + "/conda";
  environment.pyenvRoot = root + "/pyenv";
  environment.home = root + "/home";
  environment.path = root + "/none:" + root + "/linked/bin:relative";
  environment.systemPrefixes = {root + "/usr"};
  fs::create_directories(root + "/real/bin");
  test::writeFile(root + "/real/bin/python3.11", "");
  fs::create_directories(root + "/linked/bin");
  fs::create_symlink(root + "/real/bin/python3.11", root + "/linked/bin/python3");
  // From the last to the first: each new one is preferred.
  for (const char* prefix : {"/usr", "/home/.local", "/pyenv/versions/3.11.4", "/real", "/linked", "/conda", "/venv"}) {
    putCudnn(root + prefix);
    const CudnnLookup lookup = lookUpCudnn(environment);
    expect(lookup.library != nullptr, prefix + (": " + lookup.summary()));
    same(lookup.library->path, packages(root + prefix) + "/cudnn/lib/libcudnn.so.9", "path");
    same(outcomeOf(lookup, lookup.library->path), "opened", "outcome");
  }
}

RESNODE_TEST(library, "its version, and its companions") {
  const test::TemporaryFolder folder;
  LibraryEnvironment environment = nowhere();
  environment.virtualEnv = folder.path;
  putCudnn(folder.path);
  const CudnnLookup lookup = lookUpCudnn(environment);
  expect(lookup.library && lookup.library->hasNvrtc && lookup.library->cudaMajor == 13, lookup.summary());
  same(lookup.summary(), "9.24.0 (" + packages(folder.path) + "/cudnn/lib/libcudnn.so.9)", "summary");

  fs::remove(packages(folder.path) + "/cu13/lib/libnvrtc.so.13");
  const CudnnLookup without = lookUpCudnn(environment);
  expect(without.library && !without.library->hasNvrtc, "it works without NVRTC");
  expect(without.summary().find("libnvrtc.so.13 was not found: pip install nvidia-cuda-nvrtc") != std::string::npos,
         without.summary());

  fs::remove(packages(folder.path) + "/cu13/lib/libcublasLt.so.13");
  const CudnnLookup broken = lookUpCudnn(environment);
  expect(!broken.library, "without cuBLASLt it would abort the process");
  same(outcomeOf(broken, packages(folder.path) + "/cudnn/lib/libcudnn.so.9"),
       "it needs libcublasLt.so.13, which was not found: pip install nvidia-cublas", "outcome");

  put(EMPTY_LIBRARY, folder.path + "/cuda/libcublasLt.so.13");
  environment.systemFolders = {folder.path + "/cuda"};
  expect(lookUpCudnn(environment).library != nullptr, "cuBLASLt may lie in CUDA's folder");
}

RESNODE_TEST(library, "a version for newer drivers is skipped, and the command names one that the driver supports") {
  const test::TemporaryFolder folder;
  LibraryEnvironment environment = nowhere();
  environment.virtualEnv = folder.path;
  putCudnn(folder.path);
  for (const auto& [major, package] :
       {std::pair{12, "nvidia-cudnn-cu12"}, std::pair{11, "nvidia-cudnn-cu11"}, std::pair{10, "nvidia-cudnn-cu11"}}) {
    environment.cudaMajor = major;
    const CudnnLookup lookup = lookUpCudnn(environment);
    expect(!lookup.library, "a cuDNN for CUDA 13 beside an older driver");
    const std::string why = outcomeOf(lookup, packages(folder.path) + "/cudnn/lib/libcudnn.so.9");
    expect(why.find("it is for CUDA 13, and the driver runs CUDA " + std::to_string(major) + " at most: pip install " +
                    package) == 0,
           why);
    expect(lookup.summary().find(std::string("pip install ") + package) != std::string::npos, lookup.summary());
  }
  environment.cudaMajor = 14;
  expect(lookUpCudnn(environment).library != nullptr, "a newer driver runs it");
  same(installCommand(environment, "nccl"),
       "pip install nvidia-nccl-cu13 (or set RESNODE_NCCL to the file or its folder)", "NCCL's");
}

RESNODE_TEST(library, "RESNODE_CUDNN is a file or a folder, and then nothing else is tried") {
  const test::TemporaryFolder folder;
  LibraryEnvironment environment = nowhere();
  environment.virtualEnv = folder.path + "/venv";
  putCudnn(environment.virtualEnv);
  const std::string lib = folder.path + "/mine/lib";
  put(FAKE_CUDNN, lib + "/libcudnn.so.9");
  put(EMPTY_LIBRARY, lib + "/libcublasLt.so.13");
  for (const std::string& place : {lib + "/libcudnn.so.9", lib, folder.path + "/mine"}) {
    environment.cudnn = place;
    const CudnnLookup lookup = lookUpCudnn(environment);
    expect(lookup.library != nullptr, place);
    same(fs::path(lookup.library->path).lexically_normal(), lib + "/libcudnn.so.9", place);
  }
  environment.cudnn = folder.path + "/typo";
  const CudnnLookup lookup = lookUpCudnn(environment);
  expect(!lookup.library && lookup.attempts.size() == 1, "nothing else is tried");
  same(outcomeOf(lookup, environment.cudnn), "no such file", "outcome");
  expect(lookup.summary().find("pip install nvidia-cudnn-cu13") != std::string::npos, lookup.summary());
}

RESNODE_TEST(library, "libraries that are not cuDNN 9 are skipped with the reason") {
  const test::TemporaryFolder folder;
  LibraryEnvironment environment = nowhere();
  for (const char* name : {"/text", "/empty", "/eight", "/nine"})
    environment.systemFolders.push_back(folder.path + name);
  test::writeFile(folder.path + "/text/libcudnn.so.9", "not a library");
  put(EMPTY_LIBRARY, folder.path + "/empty/libcudnn.so.9");
  put(FAKE_CUDNN_8, folder.path + "/eight/libcudnn.so.9");
  put(FAKE_CUDNN, folder.path + "/nine/libcudnn.so.9");
  put(EMPTY_LIBRARY, folder.path + "/nine/libcublasLt.so.13");
  const CudnnLookup lookup = lookUpCudnn(environment);
  expect(outcomeOf(lookup, folder.path + "/text/libcudnn.so.9").find("file too short") != std::string::npos ||
             outcomeOf(lookup, folder.path + "/text/libcudnn.so.9").find("invalid ELF header") != std::string::npos,
         outcomeOf(lookup, folder.path + "/text/libcudnn.so.9"));
  same(outcomeOf(lookup, folder.path + "/empty/libcudnn.so.9"), "it has no cudnnGetVersion", "an empty library");
  same(outcomeOf(lookup, folder.path + "/eight/libcudnn.so.9"), "it is version 80900, and 9.x is wanted", "cuDNN 8");
  same(outcomeOf(lookup, folder.path + "/nine/libcudnn.so.9"), "opened", "cuDNN 9");
}

RESNODE_TEST(library, "every path is tried once and named") {
  const test::TemporaryFolder folder;
  LibraryEnvironment environment = LibraryEnvironment::ofThisProcess();
  environment.cudnn = "";
  const std::vector<std::string> places = cudnnPlaces(environment);
  std::vector<std::string> sorted = places;
  std::sort(sorted.begin(), sorted.end());
  expect(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), "no place twice");
  same(places.front(), "libcudnn.so.9", "the loader comes first");
}

}  // namespace
}  // namespace resnode::cuda
