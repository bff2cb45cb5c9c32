#include "map-file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

namespace resnode {
namespace {

struct Mapping {
  void* address;
  size_t length;
  Mapping(void* a, size_t l) : address(a), length(l) {}
  ~Mapping() { munmap(address, length); }
};

std::mutex registryMutex;
std::map<const char*, std::weak_ptr<Mapping>>& registry() {
  static auto* table = new std::map<const char*, std::weak_ptr<Mapping>>();  // outlives every environment
  return *table;
}

Napi::Error fileError(Napi::Env env, const std::string& path, int number) {
  Napi::Error error = Napi::Error::New(env, path + ": " + std::strerror(number));
  error.Set("code", number == ENOENT ? "file/not-found" : "file/unreadable");
  return error;
}

}  // namespace

std::shared_ptr<const void> mappingOf(const void* bytes, size_t length) {
  const char* start = static_cast<const char*>(bytes);
  const std::lock_guard<std::mutex> lock(registryMutex);
  auto after = registry().upper_bound(start);
  if (after == registry().begin()) return nullptr;
  const auto mapping = std::prev(after)->second.lock();
  if (!mapping || start + length > static_cast<char*>(mapping->address) + mapping->length) return nullptr;
  return mapping;
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
  auto* owner = new std::shared_ptr<Mapping>(std::make_shared<Mapping>(address, length));
  {
    const std::lock_guard<std::mutex> lock(registryMutex);
    registry()[static_cast<const char*>(address)] = *owner;
  }
  return Napi::ArrayBuffer::New(env, address, length, [owner](Napi::Env, void*) { delete owner; });
}

}  // namespace resnode
