#include "native/addon/host-memory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "native/addon/objects.h"
#include "native/core/backend-support.h"

namespace resnode {
namespace {

struct Region;

std::mutex registryMutex;
std::map<const char*, std::weak_ptr<Region>>& registry() {
  static auto* table = new std::map<const char*, std::weak_ptr<Region>>();  // outlives every environment
  return *table;
}

// Memory that we allocated, or a mapped file.
struct Region {
  AlignedBytes memory;
  std::shared_ptr<const GuardedMap> file;  // null: `memory` is used
  size_t length;
  bool ofFile = false;  // mapFile made it

  explicit Region(size_t bytes) : length(bytes) {}
  Region(const Region&) = delete;
  char* address() const { return file ? const_cast<char*>(file->data()) : memory.get(); }

  ~Region() {
    const std::lock_guard<std::mutex> lock(registryMutex);
    registry().erase(address());
  }
};

constexpr size_t kReadWhole = size_t{64} << 10;  // smaller files are read, so that nobody can change them afterwards

// The regions that ArrayBuffers own, by numbers that are never reused. If an ArrayBuffer cannot be made, Node.js may or
// may not have called the finaliser (https://nodejs.org/api/n-api.html#napi_create_external_arraybuffer leaves it
// open). In either case the region is released once.
class Owners {
 public:
  uintptr_t add(std::shared_ptr<Region> region) {
    const std::lock_guard<std::mutex> lock(mutex_);
    regions_[++last_] = std::move(region);
    return last_;
  }
  void drop(uintptr_t number) {
    std::shared_ptr<Region> last;  // destroyed after the lock is released
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

// An ArrayBuffer that shares ownership of a region. Throws Error("memory/too-large") if JavaScript cannot have
// ArrayBuffers of this length.
Napi::Value regionToJs(Napi::Env env, const std::shared_ptr<Region>& region) {
  {
    const std::lock_guard<std::mutex> lock(registryMutex);
    registry()[region->address()] = region;
  }
  const uintptr_t owner = owners().add(region);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, region->address(), region->length,
      [](napi_env, void*, void* hint) { owners().drop(reinterpret_cast<uintptr_t>(hint)); },
      reinterpret_cast<void*>(owner), &buffer);
  if (status == napi_ok) return Napi::Value(env, buffer);
  owners().drop(owner);
  if (env.IsExceptionPending()) env.GetAndClearPendingException();
  throw Error("memory/too-large", std::to_string(region->length) + " bytes");
}

Napi::Error fileError(Napi::Env env, const std::string& path, int number) {
  Napi::Error error = Napi::Error::New(env, path + ": " + std::strerror(number));
  error.Set("code", number == ENOENT ? "file/not-found" : "file/unreadable");
  error.Set("errno", Napi::Number::New(env, -number));  // negative, as Node's own
  return error;
}

}  // namespace

HeldMemory memoryOf(const void* bytes, size_t length) {
  const char* start = static_cast<const char*>(bytes);
  // Declared before the lock: if this is the last owner, its destructor takes the lock.
  std::shared_ptr<Region> region;
  const std::lock_guard<std::mutex> lock(registryMutex);
  auto after = registry().upper_bound(start);
  if (after == registry().begin()) return {};
  region = std::prev(after)->second.lock();
  if (!region || start + length > region->address() + region->length) return {};
  return {region, region->file, region->ofFile};
}

Napi::Value mapFile(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = info[0].ToString().Utf8Value();
  // Without these flags, opening a FIFO would wait for its writer, and a terminal would become the process's own.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) throw fileError(env, path, errno);
  struct stat status{};
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    const int number = errno;
    ::close(file);
    if (S_ISDIR(status.st_mode)) throw fileError(env, path, EISDIR);
    if (status.st_mode == 0) throw fileError(env, path, number);
    throw Error("file/special", path + ": a FIFO, socket or device; a regular file is needed");
  }
  const size_t length = static_cast<size_t>(status.st_size);
  if (length > kReadWhole) {
    const auto map = GuardedMap::make(file, length, path);
    if (!map) throw Error("device/out-of-memory", path + ": " + std::to_string(length >> 20) + " MiB cannot be mapped");
    const auto region = std::make_shared<Region>(length);
    region->file = map;
    region->ofFile = true;
    return regionToJs(env, region);
  }
  const auto region = std::make_shared<Region>(length);
  region->ofFile = true;
  int failed = 0;
  try {
    region->memory = allocate(length, path);
  } catch (...) {
    ::close(file);
    throw;
  }
  for (size_t done = 0; done < length && !failed;) {
    const ssize_t count = read(file, region->address() + done, length - done);
    if (count > 0) done += static_cast<size_t>(count);
    else if (count == 0) failed = EIO;  // the file was truncated meanwhile
    else if (errno != EINTR) failed = errno;
  }
  ::close(file);
  if (failed) throw fileError(env, path, failed);
  if (length == 0) return Napi::ArrayBuffer::New(env, 0);
  return regionToJs(env, region);
}

Napi::Value isIntact(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const HeldMemory held = memoryOf(bytes.Data(), bytes.ByteLength());
  return Napi::Boolean::New(info.Env(), !held.file || held.file->intact());
}

Napi::Value isOfFile(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Uint8Array>();
  return Napi::Boolean::New(info.Env(), memoryOf(bytes.Data(), bytes.ByteLength()).ofFile);
}

Napi::Value allocateMemory(const Napi::CallbackInfo& info) {
  const size_t length = static_cast<size_t>(info[0].ToNumber().DoubleValue());
  const auto region = std::make_shared<Region>(length);
  region->memory = allocate(length, "parameters");
  return regionToJs(info.Env(), region);
}

}  // namespace resnode
