#include "cuda/nccl/library.h"

#include "native/core/shared-library.h"

namespace resnode::cuda {
namespace {

// The first version with ncclGetLastError; ncclAvg, graph capture and all else that we use are older.
constexpr int kLeastVersion = 21300;

// The first function that the library lacks, or an empty string.
std::string loadAll(const SharedLibrary& library, nccl::Functions& call) {
  std::string missing;
  loadFunction(library, "ncclGetVersion", call.ncclGetVersion, missing);
  loadFunction(library, "ncclGetUniqueId", call.ncclGetUniqueId, missing);
  loadFunction(library, "ncclCommInitRank", call.ncclCommInitRank, missing);
  loadFunction(library, "ncclCommDestroy", call.ncclCommDestroy, missing);
  loadFunction(library, "ncclCommAbort", call.ncclCommAbort, missing);
  loadFunction(library, "ncclCommGetAsyncError", call.ncclCommGetAsyncError, missing);
  loadFunction(library, "ncclGetErrorString", call.ncclGetErrorString, missing);
  loadFunction(library, "ncclGetLastError", call.ncclGetLastError, missing);
  loadFunction(library, "ncclAllReduce", call.ncclAllReduce, missing);
  loadFunction(library, "ncclGroupStart", call.ncclGroupStart, missing);
  loadFunction(library, "ncclGroupEnd", call.ncclGroupEnd, missing);
  return missing;
}

std::string textOf(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

// Why the library could not be opened; empty: it is open.
std::string tryToOpen(const std::string& path, NcclLibrary& result) {
  SharedLibrary library(path);
  if (!library.isOpen()) return library.why();
  const std::string missing = loadAll(library, result.call);
  if (!missing.empty()) return "it has no " + missing;
  if (result.call.ncclGetVersion(&result.version) != nccl::ncclSuccess) return "it does not report its version";
  if (result.version < kLeastVersion)
    return "it is version " + textOf(result.version) + ", and " + textOf(kLeastVersion) + " or later is needed";
  library.keepOpen();
  result.path = library.file();
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
