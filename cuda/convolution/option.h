// A candidate before it is created. A name is cheap but a plan is not: engines that compile at run time take a second.
// So the tuner creates one at a time, and if the winner is cached, only that one.
#pragma once

#include <functional>

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

struct ConvolutionOption {
  std::string name;  // of the implementation that `make` creates
  // Called once; throws Error if it cannot be created.
  std::function<std::unique_ptr<ConvolutionImplementation>()> make;
  bool mustBeTimed = false;  // chosen only if it was timed, here or in the cache
};

using ConvolutionOptions = std::vector<ConvolutionOption>;

}  // namespace resnode::cuda
