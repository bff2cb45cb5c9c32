#include "cuda/nccl/library.h"

#include <filesystem>

#include "test/cuda/host/main.h"

namespace resnode::cuda {
namespace {

namespace fs = std::filesystem;

// No variables, no system folders, no loader.
LibraryEnvironment nowhere() {
  LibraryEnvironment environment;
  environment.loader = false;
  return environment;
}

void put(const char* library, const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  fs::copy_file(library, path);
}

RESNODE_TEST(nccl, "it is found in every python's packages, the user's choice first") {
  const test::TemporaryFolder folder;
  LibraryEnvironment environment = nowhere();
  environment.virtualEnv = folder.path + "/venv";
  environment.systemPrefixes = {folder.path + "/usr"};
  for (const char* prefix : {"/usr", "/venv"}) {
    const std::string path = folder.path + prefix + "/lib/python3.11/site-packages/nvidia/nccl/lib/libnccl.so.2";
    put(NCCL_STUB, path);
    const NcclLookup lookup = lookUpNccl(environment);
    test::expect(lookup.library != nullptr, prefix + lookup.tried);
    test::same(lookup.library->path, path, "path");
    test::same(lookup.library->versionText(), std::string("2.23.4"), "version");
  }
  environment.nccl = folder.path + "/usr/lib/python3.11/site-packages/nvidia/nccl";
  test::same(lookUpNccl(environment).library->path, environment.nccl + "/lib/libnccl.so.2", "RESNODE_NCCL's folder");
}

RESNODE_TEST(nccl, "a version that is too old, and libraries that are not NCCL, are skipped with the reason") {
  const test::TemporaryFolder folder;
  LibraryEnvironment environment = nowhere();
  for (const auto& [name, library, reason] :
       {std::tuple{"old", NCCL_STUB_OLD, "it is version 2.12.10, and 2.13.0 or later is needed"},
        std::tuple{"empty", EMPTY_LIBRARY, "it has no ncclGetVersion"}}) {
    environment.systemFolders.push_back(folder.path + "/" + name);
    put(library, folder.path + "/" + name + "/libnccl.so.2");
    const NcclLookup lookup = lookUpNccl(environment);
    test::expect(!lookup.library, name);
    const std::string said = "\n  " + folder.path + "/" + name + "/libnccl.so.2: " + reason;
    test::expect(lookup.tried.find(said) != std::string::npos, lookup.tried);
  }
  environment.nccl = folder.path + "/nothing.so";
  test::same(lookUpNccl(environment).tried, "\n  " + folder.path + "/nothing.so: no such file",
             "RESNODE_NCCL alone is tried");
}

}  // namespace
}  // namespace resnode::cuda
