// A file that is mapped while others may write to it. Linux sends SIGBUS to who touches a page behind the end of a file
// that was cut short (mmap(2)): here such pages become zeros, and intact() says that the file is not what was mapped.
// docs/decisions/0009-mapped-files.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace resnode {

class GuardedMap {
 public:
  // Takes over `file`, an open regular file of `length` > 0 bytes; `path` is its name in errors. Null where it cannot be
  // mapped, or guarded.
  static std::shared_ptr<GuardedMap> make(int file, size_t length, std::string path);
  ~GuardedMap();
  GuardedMap(const GuardedMap&) = delete;
  GuardedMap& operator=(const GuardedMap&) = delete;

  const char* data() const { return address_; }
  size_t length() const { return length_; }
  const std::string& path() const { return path_; }
  // Whether all that was read of it is of the file as it was mapped. Called from any thread.
  bool intact() const;

 private:
  GuardedMap(int file, const char* address, size_t length, size_t place, std::string path);
  struct Version {
    int64_t size = -1, seconds = -1, nanoseconds = -1;
    bool operator==(const Version& other) const {
      return size == other.size && seconds == other.seconds && nanoseconds == other.nanoseconds;
    }
  };
  static Version versionOf(int file);

  int file_;
  const char* address_;
  size_t length_;
  size_t place_;  // in the table that the signal handler reads
  Version version_;
  std::string path_;
};

}  // namespace resnode
