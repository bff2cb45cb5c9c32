#include "native/operations/convolution/cpu-choice.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "native/core/backend-support.h"
#include "native/cpu/cache-size.h"
#include "native/operations/convolution/cpu-steps.h"

namespace resnode::cpu {
namespace {

using Entrant = ConvolutionChoice::Entrant;
using WeightsIn = ConvolutionChoice::WeightsIn;

// Larger batches behave the same, so they are measured and remembered with this many images.
constexpr int64_t kMostImages = 8;
// Only an algorithm's fastest run counts: the first one wakes threads and touches memory, and others may be disturbed.
constexpr int kFewestRounds = 2, kMostRounds = 5;
// No further round begins after this time, or if one algorithm takes this many times as long as the other.
constexpr double kMilliseconds = 40, kClearly = 1.5;
// A measurement is disturbed if the process's threads waited for cores for more than this part of its time. On a quiet
// machine they only wait to be woken.
constexpr double kDisturbedPart = 0.05;
// Marks the winner of a disturbed measurement: the next process measures again.
const std::string kDisturbed = " (disturbed)";

// "AMD EPYC 9654 96-Core Processor": the brand string of CPUID's leaves 0x80000002 to 0x80000004.
std::string processorModel() {
#if defined(__x86_64__)
  std::array<unsigned, 12> words{};
  for (size_t i = 0; i < 3; ++i)
    __get_cpuid(0x80000002 + static_cast<unsigned>(i), &words[4 * i], &words[4 * i + 1], &words[4 * i + 2],
                &words[4 * i + 3]);
  const char* text = reinterpret_cast<const char*>(words.data());
  return {text, std::find(text, text + sizeof words, '\0')};
#else
  return {};
#endif
}

// Other cores, of this machine or of its neighbours, use most of the shared cache.
constexpr int64_t kSharedCaches = 4;

// Evicts data from all caches, as all other layers' weights do between runs.
void leaveCaches(const float* values, size_t bytes) {
#if defined(__x86_64__)
  const char* at = reinterpret_cast<const char*>(values);
  for (size_t i = 0; i < bytes; i += 64) _mm_clflush(at + i);
  _mm_mfence();
#else
  (void)values, (void)bytes;
#endif
}

// How long threads of this process were ready to run without a core: the second figure in each one's schedstat (Linux,
// Documentation/scheduler/sched-stats.rst). 0 if the system does not report it.
double millisecondsWithoutCore() {
  double sum = 0;
  std::error_code none;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", none)) {
    double ran = 0, waited = 0;
    if (std::ifstream(thread.path() / "schedstat") >> ran >> waited) sum += waited / 1e6;
  }
  return sum;
}

std::string keyOf(const std::string& kernels, int threads, const Convolution& convolution, bool hasResidual,
                  const Shape& in, const Shape& out, const std::vector<Entrant>& entrants) {
  const auto list = [](std::initializer_list<int64_t> values) {
    std::string text;
    for (int64_t each : values) text += (text.empty() ? "" : "x") + std::to_string(each);
    return text;
  };
  const auto pair = [&](const Pair& values) { return list({values.height, values.width}); };
  // Each set of candidates is a separate contest; most have one candidate besides the direct algorithm.
  std::string others;
  for (size_t i = 2; i < entrants.size(); ++i) others += " or " + entrants[i].name;
  std::string cached;
  for (const Entrant& each : entrants) {
    if (each.weights != WeightsIn::memory)
      cached += " " + each.name + (each.weights == WeightsIn::ownCache ? " cached" : " in the shared cache");
  }
  return kernels + " threads " + std::to_string(threads) + " " + list({in[0], in[1], in[2], in[3]}) + " to " +
         list({out[1], out[2], out[3]}) + " kernel " + pair(convolution.kernel) + " stride " +
         pair(convolution.stride) + " pad " + pair(convolution.pad) + " dilation " + pair(convolution.dilation) +
         (convolution.bias ? " bias" : "") + (hasResidual ? " residual" : "") +
         (convolution.relu || convolution.clip || convolution.slopes ? " relu" : "") + cached + others;
}

// Holds the memory of one problem, and measures algorithms on it.
class Measurement {
 public:
  Measurement(ThreadPool& pool, const Contest::Bytes& bytes)
      : pool_(pool),
        sourceBytes_(bytes.source),
        weightsBytes_(bytes.weights),
        memory_{take(bytes.source),   take(bytes.weights), take(bytes.bias),
                take(bytes.residual), take(bytes.result),  take(bytes.scratch)} {}

  double milliseconds(const Contest::Algorithm& algorithm, WeightsIn weights) {
    // Weights that another algorithm's run left in the cache are not this one's.
    if (weights == WeightsIn::memory) leaveCaches(memory_.weights, weightsBytes_);
    else algorithm(memory_);
    if (weights == WeightsIn::sharedCache) leaveOwnCaches();
    // Threads are awake after the previous layer.
    pool_.run(pool_.threads(), 1, [](int64_t) {});
    const Stopwatch watch;
    algorithm(memory_);
    return watch.milliseconds();
  }

 private:
  // The value is neither 0 nor denormal, because processors are slow with denormals.
  float* take(size_t bytes) {
    if (bytes == 0) return nullptr;
    owned_.push_back(allocate(bytes, "a measurement"));
    float* values = reinterpret_cast<float*>(owned_.back().get());
    std::fill_n(values, bytes / sizeof(float), 0.01f);
    return values;
  }

  // Every thread fills its core's cache with other data. The source, which the previous layer wrote, is read last.
  void leaveOwnCaches() {
    const int64_t bytes = 2 * ownCacheBytes(), threads = pool_.threads();
    if (!other_) other_ = allocate(static_cast<size_t>(bytes * threads), "a measurement");
    const auto part = [threads](int64_t unit, size_t size) { return static_cast<int64_t>(size) / threads * unit; };
    pool_.run(threads, 1, [&](int64_t unit) {
      touch(other_.get() + bytes * unit, bytes);
      const char* source = reinterpret_cast<const char*>(memory_.source);
      touch(source + part(unit, sourceBytes_), part(1, sourceBytes_));
    });
  }
  static void touch(const char* bytes, int64_t count) {
    constexpr int64_t kLine = 64;
    for (int64_t i = 0; i < count; i += kLine) static_cast<void>(*const_cast<const volatile char*>(bytes + i));
  }

  ThreadPool& pool_;
  size_t sourceBytes_, weightsBytes_;
  AlignedBytes other_;
  std::vector<AlignedBytes> owned_;
  Contest::Memory memory_;
};

bool wasDisturbed(const TuningCache::Winner& winner) { return winner.name.find(kDisturbed) != std::string::npos; }

Shape fewImages(Shape shape) {
  shape[0] = std::min(shape[0], kMostImages);
  return shape;
}

TuningCache::Winner measure(ThreadPool& pool, const Contest& contest, const std::vector<Entrant>& entrants) {
  Measurement measurement(pool, contest.bytes);
  constexpr double kNever = std::numeric_limits<double>::infinity();
  double direct = kNever;
  std::vector<double> others(contest.winograds.size(), kNever);
  const auto best = [&] { return std::min_element(others.begin(), others.end()); };
  const auto isClear = [&] { return std::max(direct, *best()) > kClearly * std::min(direct, *best()); };
  const double waitedBefore = millisecondsWithoutCore();
  const Stopwatch watch;
  const auto isDisturbed = [&] {
    return millisecondsWithoutCore() - waitedBefore > kDisturbedPart * watch.milliseconds();
  };
  for (int round = 0; round < kFewestRounds ||
                      (round < kMostRounds && (!isClear() || isDisturbed()) && watch.milliseconds() < kMilliseconds);
       ++round) {
    direct = std::min(direct, measurement.milliseconds(contest.direct, entrants[0].weights));
    for (size_t i = 0; i < others.size(); ++i)
      others[i] = std::min(others[i], measurement.milliseconds(contest.winograds[i], entrants[i + 1].weights));
  }
  const bool isDirect = *best() * contest.leastGain >= direct;
  const std::string winner = entrants[isDirect ? 0 : best() - others.begin() + 1].name;
  return {winner + (isDisturbed() ? kDisturbed : ""), 1000 * std::min(direct, *best())};
}

}  // namespace

ConvolutionChoice::WeightsIn ConvolutionChoice::placeOf(double bytes) {
  const auto own = static_cast<double>(ownCacheBytes());
  if (bytes <= own) return WeightsIn::ownCache;
  return bytes <= kSharedCaches * own ? WeightsIn::sharedCache : WeightsIn::memory;
}

std::string ConvolutionChoice::fastest(const std::vector<Entrant>& entrants, const std::string& kernels,
                                       const Convolution& convolution, bool hasResidual, const Shape& allIn,
                                       const Shape& allOut,
                                       const std::function<Contest(const Shape&, const Shape&)>& contest) {
  const Shape in = fewImages(allIn), out = fewImages(allOut);
  if (!cache_) cache_.emplace(cacheFolder_, std::vector<std::string>{"cpu", processorModel(), kVersion});
  const std::string key = keyOf(kernels, pool_.threads(), convolution, hasResidual, in, out, entrants);
  const auto nameOf = [&](const TuningCache::Winner& winner) {
    for (const Entrant& each : entrants) {
      if (winner.name.find(each.name) == 0) return each.name;
    }
    return entrants[0].name;
  };
  const auto known = cache_->find(key);
  if (known && (measured_.count(key) != 0 || !wasDisturbed(*known))) return nameOf(*known);
  TuningCache::Winner winner = measure(pool_, contest(in, out), entrants);
  // Two measurements that agree are as good as a quiet one, so that a machine that is always busy does not measure
  // forever.
  if (known && nameOf(*known) == nameOf(winner)) winner.name = nameOf(winner);
  cache_->store(key, winner);
  measured_.insert(key);
  return nameOf(winner);
}

std::optional<size_t> chooseWinograd(StepBuilder& step, const Convolution& convolution,
                                     const std::vector<Candidate>& candidates, double directBytes,
                                     const std::string& kernels,
                                     const std::function<Contest(const Shape&, const Shape&)>& contest) {
  if (const std::vector<Pack>* packs = step.like()) {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const auto isTaken = [&](const Pack& pack) {
        return pack.id == convolution.weights && pack.transformName == candidates[i].weights;
      };
      if (std::any_of(packs->begin(), packs->end(), isTaken)) return i;
    }
    return std::nullopt;
  }
  if (!step.choice()) return 0;
  int64_t weightsOfNet = 0;
  for (const Parameter& parameter : step.program().parameters) weightsOfNet += elementCount(parameter.shape);
  const auto placeOf = [&](double bytesPerWeight) {
    return ConvolutionChoice::placeOf(bytesPerWeight * static_cast<double>(weightsOfNet));
  };
  const bool hasResidual = step.operation().inputs.size() > 1;
  std::vector<ConvolutionChoice::Entrant> entrants{{kDirect, placeOf(directBytes)}};
  for (const Candidate& each : candidates) entrants.push_back({each.name, placeOf(each.bytesPerWeight)});
  const std::string fastest = step.choice()->fastest(entrants, kernels, convolution, hasResidual, step.inputShape(0),
                                                     step.outputShape(0), contest);
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].name == fastest) return i;
  }
  return std::nullopt;
}

}  // namespace resnode::cpu
