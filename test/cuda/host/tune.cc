#include "cuda/convolution/tune.h"

#include <map>

#include "native/core/error.h"
#include "test/cuda/host/main.h"

namespace resnode::cuda {
namespace {

using test::expect;
using test::same;

struct Fake final : ConvolutionImplementation {
  Fake(std::string name, size_t workspace) : name_(std::move(name)), workspace_(workspace) {}
  const std::string& name() const override { return name_; }
  size_t workspaceBytes() const override { return workspace_; }
  bool deterministic() const override { return true; }
  void enqueue(const ConvolutionArguments&, cudaStream_t) override {}
  std::string name_;
  size_t workspace_;
};

// A fake device whose clock runs only while something runs.
struct FakeMeasure final : ConvolutionMeasure {
  std::map<std::string, std::vector<double>> times;  // microseconds per run; the last one repeats
  std::map<std::string, std::string> wrong;
  std::map<std::string, std::string> failing;  // name → error code, at the first timed run
  std::map<std::string, int> runs;
  double clock = 0, secondsEach = 0;

  std::string check(ConvolutionImplementation& implementation) override {
    clock += secondsEach;
    return wrong.count(implementation.name()) ? wrong[implementation.name()] : "";
  }
  double time(ConvolutionImplementation& implementation) override {
    clock += secondsEach;
    if (failing.count(implementation.name())) throw Error(failing[implementation.name()], "it fails");
    const std::vector<double>& list = times[implementation.name()];
    const size_t run = static_cast<size_t>(runs[implementation.name()]++);
    return list[std::min(run, list.size() - 1)];
  }
  double now() override { return clock; }
};

ConvolutionOption option(const std::string& name, size_t workspace = 0, int* made = nullptr) {
  return {name, [=]() -> std::unique_ptr<ConvolutionImplementation> {
            if (made) ++*made;
            return std::make_unique<Fake>(name, workspace);
          }};
}

std::string noteOf(const Choice& choice, const std::string& name) {
  for (const Trial& trial : choice.trials) {
    if (trial.name == name) return trial.note;
  }
  return "no such trial";
}

RESNODE_TEST(tune, "the smallest median wins, not the smallest run") {
  FakeMeasure measure;
  measure.times = {{"a", {10}}, {"b", {1, 12, 12, 12, 1}}, {"c", {9, 9, 30, 9, 9}}};
  TuneBudget budget;
  const Choice choice = choose({option("a"), option("b"), option("c")}, measure, budget, 0);
  same(choice.implementation->name(), "c", "winner");
  expect(choice.microseconds == 9, "its median");
  expect(choice.trials[1].microseconds == 12, "b's median");
}

RESNODE_TEST(tune, "a candidate that computes wrongly never wins, however fast") {
  FakeMeasure measure;
  measure.times = {{"slow", {100}}, {"wrong", {1}}};
  measure.wrong = {{"wrong", "wrong: 3 times the tolerance"}};
  TuneBudget budget;
  const Choice choice = choose({option("wrong"), option("slow")}, measure, budget, 0);
  same(choice.implementation->name(), "slow", "winner");
  same(noteOf(choice, "wrong"), "wrong: 3 times the tolerance", "note");
  expect(measure.runs["wrong"] == 0, "it is not even timed");
}

RESNODE_TEST(tune, "a slow first run ends a candidate") {
  FakeMeasure measure;
  measure.times = {{"fast", {10}}, {"slow", {16}}, {"close", {14}}};
  TuneBudget budget;
  const Choice choice = choose({option("fast"), option("slow"), option("close")}, measure, budget, 0);
  expect(measure.runs["slow"] == 1 && measure.runs["close"] == 5, "one run, and all five");
  expect(noteOf(choice, "slow").find("slow at first") == 0, noteOf(choice, "slow"));
}

RESNODE_TEST(tune, "a candidate that cannot be created or run, or wants too much memory, is skipped with its reason") {
  FakeMeasure measure;
  measure.times = {{"good", {10}}};
  measure.failing = {{"failing", "device/failed"}};
  TuneBudget budget;
  const ConvolutionOption unmakeable{
      "unmakeable", []() -> std::unique_ptr<ConvolutionImplementation> { throw Error("device/failed", "no plan"); }};
  const Choice choice =
      choose({unmakeable, option("failing"), option("hungry", 1001), option("good", 1000)}, measure, budget, 1000);
  same(choice.implementation->name(), "good", "winner");
  same(noteOf(choice, "unmakeable"), "no plan", "unmakeable");
  same(noteOf(choice, "failing"), "it fails", "failing");
  same(noteOf(choice, "hungry"), "wants 1001 bytes of workspace", "hungry");
}

RESNODE_TEST(tune, "a lost device ends the contest") {
  FakeMeasure measure;
  measure.times = {{"good", {10}}};
  measure.failing = {{"fatal", "device/lost"}};
  TuneBudget budget;
  try {
    choose({option("good"), option("fatal"), option("good")}, measure, budget, 0);
  } catch (const Error& error) {
    return same(error.code(), "device/lost", "code");
  }
  throw test::Failure("nothing was thrown");
}

RESNODE_TEST(tune, "time is limited per problem and per net, and the options that come first are worth most") {
  FakeMeasure measure;
  measure.secondsEach = 1;
  measure.times = {{"a", {10}}, {"b", {5}}, {"c", {1}}};
  TuneBudget budget{20, 9, 5, 1.5};
  int made = 0;
  const Choice choice = choose({option("a"), option("b"), option("c", 0, &made)}, measure, budget, 0);
  same(choice.implementation->name(), "b", "winner");
  same(noteOf(choice, "c"), "no time left", "c");
  expect(made == 0, "c is not made");
  expect(budget.netSeconds == 11, "9 of the net's 20 seconds are spent: " + std::to_string(budget.netSeconds));

  budget.netSeconds = 0;
  measure.wrong = {{"a", "wrong"}};
  const Choice untimed = choose({option("a"), option("b"), option("c")}, measure, budget, 0);
  same(untimed.implementation->name(), "b", "without any time the first that is right");
  expect(untimed.microseconds == -1, "is not timed");
}

RESNODE_TEST(tune, "a candidate that must be timed wins by its time, and is not chosen without one") {
  FakeMeasure measure;
  measure.secondsEach = 1;
  measure.times = {{"apart", {10}}, {"together", {5}}};
  ConvolutionOption together = option("together");
  together.mustBeTimed = true;
  TuneBudget budget{100, 100, 5, 1.5};
  same(choose({option("apart"), together}, measure, budget, 0).implementation->name(), "together", "timed");
  budget.netSeconds = 0;
  measure.wrong = {{"wrong", "wrong"}};
  same(choose({option("wrong"), together, option("apart")}, measure, budget, 0).implementation->name(), "apart",
       "untimed");
}

RESNODE_TEST(tune, "if none works, the error contains the reason for each") {
  FakeMeasure measure;
  measure.wrong = {{"a", "wrong"}};
  TuneBudget budget;
  try {
    choose({option("a"), option("b", 5)}, measure, budget, 1);
  } catch (const Error& error) {
    return same(error.what(), "No implementation of a convolution works:\n  a: wrong\n  b: wants 5 bytes of workspace",
                "message");
  }
  throw test::Failure("nothing was thrown");
}

RESNODE_TEST(tune, "candidates that are already created are used once") {
  ConvolutionCandidates candidates;
  candidates.push_back(std::make_unique<Fake>("a", 0));
  candidates.push_back(std::make_unique<Fake>("b", 0));
  const ConvolutionOptions options = optionsOf(std::move(candidates));
  FakeMeasure measure;
  measure.times = {{"a", {2}}, {"b", {1}}};
  TuneBudget budget;
  same(choose(options, measure, budget, 0).implementation->name(), "b", "winner");
}

RESNODE_TEST(tune, "a remembered winner is created alone, and nothing is measured") {
  const test::TemporaryFolder folder;
  TuningCache cache(folder.path, {});
  int measures = 0;
  const auto measure = [&]() -> std::unique_ptr<ConvolutionMeasure> {
    ++measures;
    auto fake = std::make_unique<FakeMeasure>();
    fake->times = {{"a", {2}}, {"b", {1}}, {"c", {3}}};
    return fake;
  };
  TuneBudget budget;
  int madeA = 0, madeB = 0;
  const ConvolutionOptions options{option("a", 0, &madeA), option("b", 7, &madeB)};
  same(recallOrChoose(cache, "key", options, measure, budget, 10).implementation->name(), "b", "chosen");
  const Choice again = recallOrChoose(cache, "key", options, measure, budget, 10);
  same(again.implementation->name(), "b", "remembered");
  expect(again.remembered && again.microseconds == 1 && measures == 1 && madeA == 1 && madeB == 2,
         "made alone, measured once");
  same(recallOrChoose(cache, "key", options, measure, budget, 5).implementation->name(), "a",
       "too little workspace for b: chosen anew");
  same(recallOrChoose(cache, "key", {option("c")}, measure, budget, 5).implementation->name(), "c",
       "a is no option any more: chosen anew");
  expect(measures == 3, "measured three times");
}

}  // namespace
}  // namespace resnode::cuda
