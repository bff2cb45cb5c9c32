// Runs the host's cases (cuda/convolution, cuda/cudnn; the order of kernels does not matter here) whose names contain
// the argument. Prints "ok NAME", "failed NAME: why" or "skipped NAME: why".
#include "test/cuda/host/main.h"

#include <cstdio>
#include <exception>

namespace resnode::test {
namespace {

struct Case {
  std::string name;
  void (*run)();
};
std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

}  // namespace

Registration::Registration(std::string name, void (*run)()) { cases().push_back({std::move(name), run}); }

}  // namespace resnode::test

int main(int count, char** arguments) {
  using namespace resnode::test;
  int passed = 0, failed = 0, skipped = 0;
  for (const Case& test : cases()) {
    if (count > 1 && test.name.find(arguments[1]) == std::string::npos) continue;
    try {
      test.run();
      ++passed;
      std::printf("ok %s\n", test.name.c_str());
    } catch (const Skip& skip) {
      ++skipped;
      std::printf("skipped %s: %s\n", test.name.c_str(), skip.reason.c_str());
    } catch (const std::exception& error) {
      ++failed;
      std::printf("failed %s: %s\n", test.name.c_str(), error.what());
    }
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed == 0 && passed + skipped > 0 ? 0 : 1;
}
