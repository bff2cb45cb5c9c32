// kernels/harness.h, and what tests of the host need in addition.
#pragma once

#include <filesystem>
#include <fstream>

#include "test/cuda/kernels/harness.h"

namespace resnode::test {

struct Skip {
  std::string reason;
};

// A folder that is removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "resnode-XXXXXX").string();
    expect(mkdtemp(name.data()) != nullptr, "mkdtemp");
    path = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, ignored);
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

inline std::string readFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void writeFile(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline void same(const std::string& actual, const std::string& expected, const std::string& what) {
  expect(actual == expected, what + ": \"" + actual + "\", expected \"" + expected + "\"");
}

}  // namespace resnode::test
