#include "nccl/library.h"

#include <dlfcn.h>
#include <link.h>

#include <filesystem>

namespace resnode::cuda {
namespace {

// The first that says what went wrong (ncclGetLastError); ncclAvg, capture in graphs and what else we use are older.
constexpr int kLeastVersion = 21300;

template <class Function>
void load(void* library, const char* name, Function& function, std::string& missing) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function && missing.empty()) missing = name;
}

// The first function that the library lacks; empty: none.
std::string loadAll(void* library, nccl::Functions& call) {
  std::string missing;
  load(library, "ncclGetVersion", call.ncclGetVersion, missing);
  load(library, "ncclGetUniqueId", call.ncclGetUniqueId, missing);
  load(library, "ncclCommInitRank", call.ncclCommInitRank, missing);
  load(library, "ncclCommDestroy", call.ncclCommDestroy, missing);
  load(library, "ncclCommAbort", call.ncclCommAbort, missing);
  load(library, "ncclCommGetAsyncError", call.ncclCommGetAsyncError, missing);
  load(library, "ncclGetErrorString", call.ncclGetErrorString, missing);
  load(library, "ncclGetLastError", call.ncclGetLastError, missing);
  load(library, "ncclAllReduce", call.ncclAllReduce, missing);
  load(library, "ncclGroupStart", call.ncclGroupStart, missing);
  load(library, "ncclGroupEnd", call.ncclGroupEnd, missing);
  return missing;
}

std::string textOf(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." + std::to_string(version % 100);
}

// Empty: opened. Otherwise why not.
std::string tryToOpen(const std::string& path, NcclLibrary& result) {
  std::error_code ignored;
  if (path != kNcclFile && !std::filesystem::exists(path, ignored)) return "no such file";
  dlerror();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    return why ? why : "dlopen failed";
  }
  const std::string missing = loadAll(library, result.call);
  std::string why;
  if (!missing.empty()) why = "it has no " + missing;
  else if (result.call.ncclGetVersion(&result.version) != nccl::ncclSuccess) why = "it does not say its version";
  else if (result.version < kLeastVersion) why = "it is version " + textOf(result.version) + ", and " + textOf(kLeastVersion) + " or later is wanted";
  if (!why.empty()) {
    dlclose(library);
    return why;
  }
  link_map* map = nullptr;
  result.path = dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map && map->l_name[0] ? map->l_name : path;
  return {};
}

}  // namespace

std::string NcclLibrary::versionText() const { return textOf(version); }

NcclLookup lookUpNccl(const LibraryEnvironment& environment) {
  NcclLookup lookup;
  for (const std::string& place : ncclPlaces(environment)) {
    auto library = std::make_shared<NcclLibrary>();
    const std::string why = tryToOpen(place, *library);
    if (why.empty()) {
      lookup.library = std::move(library);
      break;
    }
    lookup.tried += "\n  " + place + ": " + why;
  }
  return lookup;
}

const NcclLookup& ncclOfThisProcess() {
  static const NcclLookup* lookup = new NcclLookup(lookUpNccl(LibraryEnvironment::ofThisProcess()));  // never destroyed
  return *lookup;
}

}  // namespace resnode::cuda
