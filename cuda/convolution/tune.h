// Chooses the fastest of a problem's options by running them, each only after its result was found right. What runs and
// times them is behind ConvolutionMeasure (measure.h on a device, a fake in tests).
#pragma once

#include <string>
#include <vector>

#include "cuda/convolution/option.h"
#include "native/core/tuning-cache.h"

namespace resnode::cuda {

class ConvolutionMeasure {
 public:
  virtual ~ConvolutionMeasure() = default;
  // Runs it once and compares with the reference result. Empty: right. Otherwise what differs. Throws Error where it fails.
  virtual std::string check(ConvolutionImplementation& implementation) = 0;
  // Microseconds of one run that finds nothing in the L2 cache. Throws Error where it fails.
  virtual double time(ConvolutionImplementation& implementation) = 0;
  // Seconds of a clock that only runs forward.
  virtual double now() = 0;
};

// Seconds that are left for all problems of a net together; choose() takes what it spends.
struct TuneBudget {
  double netSeconds = 60;
  double problemSeconds = 3;
  int runs = 5;           // of a candidate; the median counts
  double hopeless = 1.5;  // a first run slower than this × the best median ends a candidate
};

// What became of one option.
struct Trial {
  std::string name;
  double microseconds = -1;  // the median; −1: not timed to the end
  std::string note;          // empty: timed. Otherwise why not
};

struct Choice {
  std::unique_ptr<ConvolutionImplementation> implementation;  // never null
  double microseconds = -1;                                   // −1: not timed, there was no time left
  bool remembered = false;                                    // by the cache: nothing was run
  std::vector<Trial> trials;
};

// Candidates that are made already, as options.
ConvolutionOptions optionsOf(ConvolutionCandidates candidates);

// `options` in the order of their promise: where time is up, the first that is right wins untimed. Options that want more
// than `workspaceLimit` bytes are left out. Throws Error where none works, with what became of each.
Choice choose(const ConvolutionOptions& options, ConvolutionMeasure& measure, TuneBudget& budget,
              size_t workspaceLimit);

// The winner that the cache remembers for `key`, where it is still among the options; otherwise chosen and stored.
// `measure` is called only then: it takes device memory.
Choice recallOrChoose(TuningCache& cache, const std::string& key, const ConvolutionOptions& options,
                      const std::function<std::unique_ptr<ConvolutionMeasure>()>& measure, TuneBudget& budget,
                      size_t workspaceLimit);

}  // namespace resnode::cuda
