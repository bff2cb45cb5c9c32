// Runs the cases whose names contain the argument (all without one; with --from N those from the Nth on), each in three
// orders of threads and blocks. Prints a line per case, "ok NAME" or "failed NAME: why", which kernels.test.ts reads.
// Without sanitizers one order suffices, because bfloat16's kernels have the same barriers as those of other types.
#include "test/cuda/kernels/harness.h"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

#ifdef RESNODE_EMULATE
#include "test/cuda/emulator/emulator.h"
#else
#include "cuda/check.h"
#endif

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

#ifdef RESNODE_EMULATE

// The failure, or an empty string.
std::string run(const Case& test) {
  for (const auto& [order, name] :
       {std::pair(emulator::Order::forward, "forward"), std::pair(emulator::Order::reverse, "reverse"),
        std::pair(emulator::Order::shuffled, "shuffled")}) {
    if (order != emulator::Order::shuffled && !emulator::areKernelsSanitized()) continue;
    emulator::setOrder(order, 7);
    try {
      test.run();
    } catch (const std::exception& error) {
      return std::string(error.what()) + " [threads " + name + "]";
    }
  }
  return {};
}

#else

std::string run(const Case& test) {
  try {
    test.run();
    RESNODE_CUDA(cudaDeviceSynchronize());
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

#endif

}  // namespace

Registration::Registration(std::string name, void (*run)()) { cases().push_back({std::move(name), run}); }

}  // namespace resnode::test

int main(int count, char** arguments) {
  using namespace resnode::test;
#ifndef RESNODE_EMULATE
  setenv("CUDA_LAUNCH_BLOCKING", "1", 1);  // the tests read results right after a launch
#endif
  int passed = 0, failed = 0, number = 0;
  const bool counts = count > 2 && std::string(arguments[1]) == "--from";
  const int first = counts ? std::atoi(arguments[2]) : 1;
  for (const Case& test : cases()) {
    if (++number < first) continue;
    if (count > 1 && !counts && test.name.find(arguments[1]) == std::string::npos) continue;
    const std::string why = run(test);
    (why.empty() ? passed : failed) += 1;
    if (why.empty()) std::printf("ok %s\n", test.name.c_str());
    else std::printf("failed %s: %s\n", test.name.c_str(), why.c_str());
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
