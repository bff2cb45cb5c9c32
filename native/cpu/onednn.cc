#include "native/cpu/onednn.h"

#include <atomic>

#include "native/core/error.h"
#include "native/core/shared-library.h"
#include "native/cpu/openmp.h"

namespace resnode::cpu {
namespace {

constexpr const char* kLibrary = "libdnnl.so.2";
std::atomic<bool> isOpen{false};

// Searched first next to this library (its RPATH), then where the system's loader looks. Never closed, because its
// threads stay.
std::unique_ptr<SharedLibrary> open() {
  auto library = std::make_unique<SharedLibrary>(kLibrary);
  if (library->isOpen()) library->keepOpen();
  return library;
}

const SharedLibrary& library() {
  static const std::unique_ptr<SharedLibrary> library = [] {
    auto opened = open();
    if (!opened->isOpen()) {
      throw Error("device/unavailable",
                  std::string("oneDNN, which is needed for kernels: \"oneDNN\" and for everything on a processor "
                              "without AVX2, cannot be opened: ") +
                      opened->why() + "; on Debian: apt-get install libdnnl2");
    }
    isOpen = true;
    return opened;
  }();
  return *library;
}

}  // namespace

void* oneDnnFunction(const char* name) {
  void* function = library().function<void*>(name);
  if (!function)
    throw Error("device/unavailable", std::string(kLibrary) + " has no " + name + ": it is not oneDNN 2.6");
  return function;
}

bool OneDnn::isInstalled() { return isOpen || open()->isOpen(); }

OneDnn::Opened& OneDnn::opened() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!opened_) {
    opened_ = std::make_unique<Opened>();
    setOpenMpThreads(threads_);
  }
  return *opened_;
}

const dnnl::engine& OneDnn::engine() { return opened().engine; }

dnnl::stream& OneDnn::stream() { return opened().stream; }

std::optional<std::string> OneDnn::openedVersion() {
  if (!isOpen) return std::nullopt;
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch);
}

}  // namespace resnode::cpu
