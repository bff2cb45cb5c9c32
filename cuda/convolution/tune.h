// Chooses the fastest of a problem's options by running them. An option is timed only after its result was correct.
// ConvolutionMeasure runs and times them (measure.h on a device, a fake in tests).
#pragma once

#include <string>
#include <vector>

#include "cuda/convolution/option.h"
#include "native/core/tuning-cache.h"

namespace resnode::cuda {

class ConvolutionMeasure {
 public:
  virtual ~ConvolutionMeasure() = default;
  // Runs it once and compares with the reference. Returns what differs, or an empty string. Throws Error if it fails.
  virtual std::string check(ConvolutionImplementation& implementation) = 0;
  // Microseconds of one run with a cold L2 cache. Throws Error if it fails.
  virtual double time(ConvolutionImplementation& implementation) = 0;
  // Seconds of a monotonic clock.
  virtual double now() = 0;
};

// Seconds left for all problems of a net together; choose() subtracts what it spends.
struct TuneBudget {
  double netSeconds = 60;
  double problemSeconds = 3;
  int runs = 5;           // of a candidate; the median counts
  double hopeless = 1.5;  // a candidate is dropped if its first run takes longer than this × the best median
};

// The outcome of one option.
struct Trial {
  std::string name;
  double microseconds = -1;  // the median; −1: timing did not finish
  std::string note;          // why it was not timed; empty: it was
};

struct Choice {
  std::unique_ptr<ConvolutionImplementation> implementation;  // never null
  double microseconds = -1;                                   // −1: not timed because time ran out
  bool remembered = false;                                    // it came from the cache: nothing was run
  std::vector<Trial> trials;
};

// Turns created candidates into options.
ConvolutionOptions optionsOf(ConvolutionCandidates candidates);

// `options` are in the order of their promise: when time is up, the first correct one wins without timing. Options with
// a workspace of more than `workspaceLimit` bytes are skipped. If none works, throws Error with the outcome of each.
Choice choose(const ConvolutionOptions& options, ConvolutionMeasure& measure, TuneBudget& budget,
              size_t workspaceLimit);

// The cached winner for `key`, if it is still among the options; otherwise chosen and stored. `measure` is called only
// then, because it allocates device memory.
Choice recallOrChoose(TuningCache& cache, const std::string& key, const ConvolutionOptions& options,
                      const std::function<std::unique_ptr<ConvolutionMeasure>()>& measure, TuneBudget& budget,
                      size_t workspaceLimit);

}  // namespace resnode::cuda
