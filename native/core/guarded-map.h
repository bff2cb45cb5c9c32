// A file that is mapped while others may write to it. Linux sends SIGBUS to a thread that touches a page beyond the end
// of a file that was truncated (mmap(2)). A handler here replaces such pages by zeros, and intact() reports that the
// file changed. docs/decisions/0009-mapped-files.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace resnode {

class GuardedMap {
 public:
  // Takes ownership of `file`, an open regular file of `length` > 0 bytes; errors name it by `path`. Null if the file
  // cannot be mapped or guarded.
  static std::shared_ptr<GuardedMap> make(int file, size_t length, std::string path);
  ~GuardedMap();
  GuardedMap(const GuardedMap&) = delete;
  GuardedMap& operator=(const GuardedMap&) = delete;

  const char* data() const { return address_; }
  size_t length() const { return length_; }
  const std::string& path() const { return path_; }
  // Whether the file is unchanged since it was mapped, so that all bytes read so far are its own. Called from any
  // thread.
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
