#include "host-memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "core/plain.h"
#include "objects.h"

namespace resnode {
namespace {

struct Region;

std::mutex registryMutex;
std::map<const char*, std::weak_ptr<Region>>& registry() {
  static auto* table = new std::map<const char*, std::weak_ptr<Region>>();  // outlives every environment
  return *table;
}

struct Region {
  char* address;
  size_t length;
  bool isFile;

  Region(char* a, size_t l, bool file) : address(a), length(l), isFile(file) {}
  Region(const Region&) = delete;
  ~Region() {
    {
      const std::lock_guard<std::mutex> lock(registryMutex);
      registry().erase(address);
    }
    if (isFile) munmap(address, length);
    else std::free(address);
  }
};

// What ArrayBuffers own, by numbers that are used once: where an ArrayBuffer cannot be made, Node.js has called the
// finaliser or has not (https://nodejs.org/api/n-api.html#napi_create_external_arraybuffer leaves it open), and the region
// goes once in either case.
class Owners {
 public:
  uintptr_t add(std::shared_ptr<Region> region) {
    const std::lock_guard<std::mutex> lock(mutex_);
    regions_[++last_] = std::move(region);
    return last_;
  }
  void drop(uintptr_t number) {
    std::shared_ptr<Region> last;  // goes behind the lock
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = regions_.find(number);
    if (found == regions_.end()) return;
    last = std::move(found->second);
    regions_.erase(found);
  }

 private:
  std::mutex mutex_;
  std::map<uintptr_t, std::shared_ptr<Region>> regions_;
  uintptr_t last_ = 0;
};

Owners& owners() {
  static auto* table = new Owners();  // outlives every environment
  return *table;
}

// An ArrayBuffer that owns a region together with whoever asks for it. Throws Error("memory/too-large") where JavaScript
// has no ArrayBuffers of this length.
Napi::Value regionToJs(Napi::Env env, const std::shared_ptr<Region>& region) {
  {
    const std::lock_guard<std::mutex> lock(registryMutex);
    registry()[region->address] = region;
  }
  const uintptr_t owner = owners().add(region);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, region->address, region->length, [](napi_env, void*, void* hint) { owners().drop(reinterpret_cast<uintptr_t>(hint)); },
      reinterpret_cast<void*>(owner), &buffer);
  if (status == napi_ok) return Napi::Value(env, buffer);
  owners().drop(owner);
  if (env.IsExceptionPending()) env.GetAndClearPendingException();
  throw Error("memory/too-large", std::to_string(region->length) + " bytes are more than an ArrayBuffer can have here");
}

Napi::Error fileError(Napi::Env env, const std::string& path, int number) {
  Napi::Error error = Napi::Error::New(env, path + ": " + std::strerror(number));
  error.Set("code", number == ENOENT ? "file/not-found" : "file/unreadable");
  return error;
}

}  // namespace

HeldMemory memoryOf(const void* bytes, size_t length) {
  const char* start = static_cast<const char*>(bytes);
  // Declared before the lock: where it is the last owner, its end takes the lock.
  std::shared_ptr<Region> region;
  const std::lock_guard<std::mutex> lock(registryMutex);
  auto after = registry().upper_bound(start);
  if (after == registry().begin()) return {};
  region = std::prev(after)->second.lock();
  if (!region || start + length > region->address + region->length) return {};
  return {region, region->isFile};
}

Napi::Value mapFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = info[0].ToString().Utf8Value();
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw fileError(env, path, errno);
  struct stat status {};
  const int failed = fstat(file, &status) != 0 ? errno : S_ISDIR(status.st_mode) ? EISDIR : 0;
  if (failed || status.st_size == 0) {
    close(file);
    if (failed) throw fileError(env, path, failed);
    return Napi::ArrayBuffer::New(env, 0);
  }
  const size_t length = static_cast<size_t>(status.st_size);
  void* address = mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file, 0);
  const int mapError = errno;
  close(file);
  if (address == MAP_FAILED) throw fileError(env, path, mapError);
  return regionToJs(env, std::make_shared<Region>(static_cast<char*>(address), length, true));
}

Napi::Value allocateMemory(const Napi::CallbackInfo& info) {
  const size_t length = static_cast<size_t>(info[0].ToNumber().DoubleValue());
  return regionToJs(info.Env(), std::make_shared<Region>(allocate(length, "parameters").release(), length, false));
}

}  // namespace resnode
