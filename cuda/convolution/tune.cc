#include "cuda/convolution/tune.h"

#include <algorithm>

#include "native/core/error.h"

namespace resnode::cuda {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// The contest for one problem.
class Contest {
 public:
  Contest(ConvolutionMeasure& measure, const TuneBudget& budget, size_t workspaceLimit)
      : measure_(measure),
        budget_(budget),
        workspaceLimit_(workspaceLimit),
        end_(measure.now() + std::min(budget.problemSeconds, budget.netSeconds)) {}

  Trial attempt(const ConvolutionOption& option) {
    Trial trial{option.name, -1, {}};
    if (timeIsUp() && choice.implementation) {
      trial.note = "no time left";
      return trial;
    }
    try {
      run(option, trial);
    } catch (const Error& error) {
      if (error.code() == "device/lost") throw;  // no later result could be trusted
      trial.note = error.what();
    }
    return trial;
  }

  Choice choice;

 private:
  bool timeIsUp() { return measure_.now() >= end_; }

  void run(const ConvolutionOption& option, Trial& trial) {
    auto implementation = option.make();
    if (implementation->workspaceBytes() > workspaceLimit_) {
      trial.note = "wants " + std::to_string(implementation->workspaceBytes()) + " bytes of workspace";
      return;
    }
    trial.note = measure_.check(*implementation);
    if (!trial.note.empty()) return;
    std::vector<double> runs;
    while (static_cast<int>(runs.size()) < budget_.runs && !timeIsUp()) {
      runs.push_back(measure_.time(*implementation));
      if (choice.microseconds >= 0 && runs[0] > budget_.hopeless * choice.microseconds) {
        trial.note = "slow at first: " + std::to_string(runs[0]) + " us";
        return;
      }
    }
    if (!runs.empty()) trial.microseconds = median(std::move(runs));
    else trial.note = "right, but no time left to time it";
    if (trial.microseconds < 0 && option.mustBeTimed) return;
    const bool fastest =
        !choice.implementation ||
        (trial.microseconds >= 0 && (choice.microseconds < 0 || trial.microseconds < choice.microseconds));
    if (!fastest) return;
    choice.microseconds = trial.microseconds;
    choice.implementation = std::move(implementation);
  }

  ConvolutionMeasure& measure_;
  const TuneBudget& budget_;
  size_t workspaceLimit_;
  double end_;
};

}  // namespace

ConvolutionOptions optionsOf(ConvolutionCandidates candidates) {
  ConvolutionOptions options;
  for (std::unique_ptr<ConvolutionImplementation>& candidate : candidates) {
    const std::string name = candidate->name();
    // std::function must be copyable, so the candidate is held by a shared pointer until it is taken.
    auto held = std::make_shared<std::unique_ptr<ConvolutionImplementation>>(std::move(candidate));
    options.push_back({name, [held] { return std::move(*held); }});
  }
  return options;
}

Choice choose(const ConvolutionOptions& options, ConvolutionMeasure& measure, TuneBudget& budget,
              size_t workspaceLimit) {
  const double start = measure.now();
  Contest contest(measure, budget, workspaceLimit);
  std::vector<Trial> trials;
  for (const ConvolutionOption& option : options) trials.push_back(contest.attempt(option));
  budget.netSeconds = std::max(0.0, budget.netSeconds - (measure.now() - start));
  contest.choice.trials = std::move(trials);
  if (contest.choice.implementation) return std::move(contest.choice);
  std::string what = "No implementation of a convolution works:";
  for (const Trial& trial : contest.choice.trials) what += "\n  " + trial.name + ": " + trial.note;
  throw Error("device/failed", what);
}

Choice recallOrChoose(TuningCache& cache, const std::string& key, const ConvolutionOptions& options,
                      const std::function<std::unique_ptr<ConvolutionMeasure>()>& measure, TuneBudget& budget,
                      size_t workspaceLimit) {
  if (const std::optional<TuningCache::Winner> winner = cache.find(key)) {
    for (const ConvolutionOption& option : options) {
      if (option.name != winner->name) continue;
      try {
        Choice choice{option.make(), winner->microseconds, true, {}};
        if (choice.implementation->workspaceBytes() <= workspaceLimit) return choice;
      } catch (const Error& error) {
        if (error.code() == "device/lost") throw;
      }
      break;  // it can no longer be created here: choose anew
    }
  }
  Choice choice = choose(options, *measure(), budget, workspaceLimit);
  if (choice.microseconds >= 0) cache.store(key, {choice.implementation->name(), choice.microseconds});
  return choice;
}

}  // namespace resnode::cuda
