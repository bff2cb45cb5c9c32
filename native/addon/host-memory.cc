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

// An ArrayBuffer that owns a region together with whoever asks for it.
Napi::Value regionToJs(Napi::Env env, char* address, size_t length, bool isFile) {
  auto* owner = new std::shared_ptr<Region>(std::make_shared<Region>(address, length, isFile));
  {
    const std::lock_guard<std::mutex> lock(registryMutex);
    registry()[address] = *owner;
  }
  return Napi::ArrayBuffer::New(env, address, length, [owner](Napi::Env, void*) { delete owner; });
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
  return regionToJs(env, static_cast<char*>(address), length, true);
}

Napi::Value allocateMemory(const Napi::CallbackInfo& info) {
  const size_t length = static_cast<size_t>(info[0].ToNumber().DoubleValue());
  try {
    return regionToJs(info.Env(), allocate(length, "parameters").release(), length, false);
  } catch (const Error& error) {
    throw toJsError(info.Env(), error.code(), error.what(), error.layer());
  }
}

}  // namespace resnode
