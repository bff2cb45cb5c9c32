// A candidate before it is made: names are cheap, plans are not (engines that compile at run time take a second each), so
// that the tuner makes one at a time and a cached winner alone.
#pragma once

#include <functional>

#include "cuda/convolution/problem.h"

namespace resnode::cuda {

struct ConvolutionOption {
  std::string name;                                                  // of what `make` makes
  std::function<std::unique_ptr<ConvolutionImplementation>()> make;  // once; throws Error where it cannot
  bool mustBeTimed = false;  // taken only where it was timed, here or by the cache
};

using ConvolutionOptions = std::vector<ConvolutionOption>;

}  // namespace resnode::cuda
