#include "cuda/operations/update/update.h"

#include <algorithm>

#include "cuda/kernels/repack.h"
#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

// Blobs of odd sizes, more of them than a launch takes; the reference and the kernels change separate copies.
struct Blobs {
  std::vector<int64_t> counts;
  std::vector<test::Memory<float>> values, diffs, accumulators, histories, seconds, averages;

  explicit Blobs(size_t blobs) {
    for (size_t i = 0; i < blobs; ++i) {
      const int64_t count = i == 1 ? 301 : static_cast<int64_t>(1 + i * 7 % 40);
      const auto size = static_cast<size_t>(count);
      const auto seed = static_cast<unsigned>(10 * i);
      counts.push_back(count);
      values.push_back(test::randomMemory<float>(size, seed));
      values.back()[0] = 0;  // the sign of which is 0
      diffs.push_back(test::randomMemory<float>(size, seed + 1));
      accumulators.push_back(test::randomMemory<float>(size, seed + 2));
      histories.push_back(test::randomMemory<float>(size, seed + 3, 0.1f, 2));
      seconds.push_back(test::randomMemory<float>(size, seed + 4, 0.1f, 2));
      averages.push_back(test::randomMemory<float>(size, seed + 5));
    }
  }
  std::vector<UpdatedValues> items(const Update& update) {
    std::vector<UpdatedValues> all;
    for (size_t i = 0; i < counts.size(); ++i) {
      const UpdatedParameter& each = update.parameters[i];
      all.push_back({values[i].data(), i == 2 ? nullptr : diffs[i].data(),
                     each.accumulator ? accumulators[i].data() : nullptr, histories[i].data(),
                     each.history.size() > 1 ? seconds[i].data() : nullptr, each.average ? averages[i].data() : nullptr,
                     counts[i], each.lrMult, each.decayMult});
    }
    return all;
  }
};

// For a blob: its values, two histories, its accumulator, its average.
constexpr size_t kPlaces = 5;

Update averaging(Update update) {
  update.averageDecay = 0.9f;
  for (UpdatedParameter& each : update.parameters) each.average = each.parameter + 4;
  return update;
}

Update updateOf(UpdateRule rule, size_t blobs, int64_t iterSize) {
  Update update;
  update.rule = rule;
  update.momentum = 0.9f;
  update.momentum2 = 0.99f;
  update.delta = 1e-3f;
  update.rmsDecay = 0.95f;
  update.iterSize = iterSize;
  update.weightDecay = 0.01f;
  const bool two = rule == UpdateRule::adadelta || rule == UpdateRule::adam || rule == UpdateRule::adamw;
  for (size_t i = 0; i < blobs; ++i) {
    const auto id = static_cast<ParameterId>(kPlaces * i);
    UpdatedParameter each;
    each.parameter = id;
    each.history = {id + 1};
    each.lrMult = i % 3 == 0 ? 2.0f : 1.0f;
    each.decayMult = i % 2 == 0 ? 1.0f : 0.0f;
    if (two) each.history.push_back(id + 2);
    if (iterSize > 1) each.accumulator = id + 3;
    update.parameters.push_back(each);
  }
  return update;
}

// Returns whether the update was skipped because of its diffs.
float runReference(const Update& update, Blobs& blobs, std::vector<float> schedule, std::vector<float> loss,
                   bool checksDiffs) {
  Program program;
  float skipped = NAN;
  resnode::reference::Arguments arguments;
  const Shape five{5}, one{static_cast<int64_t>(loss.size())};
  arguments.inputs.push_back({schedule.data(), &five});
  for (size_t i = 0; i < blobs.counts.size(); ++i) {
    for (auto* each : {&blobs.values, &blobs.histories, &blobs.seconds, &blobs.accumulators, &blobs.averages}) {
      program.parameters.push_back({"", {blobs.counts[i]}});
      arguments.parameters.push_back((*each)[i].data());
    }
  }
  for (size_t i = 0; i < blobs.counts.size(); ++i)
    arguments.inputs.push_back({i == 2 ? nullptr : blobs.diffs[i].data(), &program.parameters[kPlaces * i].shape});
  arguments.inputs.push_back({loss.data(), &one});
  if (checksDiffs) arguments.outputs.push_back({&skipped, &one});
  test::runReference(update, arguments, program);
  return skipped;
}

// `schedule` has no loss scale. `wrongDiff`: the last value of the last blob's diff, if diffs are checked.
void check(const Update& update, std::vector<float> schedule, const std::vector<float>& loss, int badLabel,
           const std::string& what, std::optional<float> wrongDiff = std::nullopt, float lossScale = 1) {
  schedule.push_back(lossScale);
  Blobs expected(update.parameters.size()), actual(update.parameters.size());
  for (Blobs* blobs : {&expected, &actual}) {
    if (wrongDiff) blobs->diffs.back()[blobs->diffs.back().size() - 1] = *wrongDiff;
  }
  float expectedSkipped = 0;
  if (badLabel == 0) expectedSkipped = runReference(update, expected, schedule, loss, wrongDiff.has_value());
  test::Memory<float> at(schedule.size()), losses(loss.size());
  std::copy(schedule.begin(), schedule.end(), at.data());
  std::copy(loss.begin(), loss.end(), losses.data());
  test::Memory<int> labels(2);
  auto skipped = test::nanMemory<float>(1);
  labels[0] = 0;
  labels[1] = badLabel;
  test::Memory<double> scratch(updateScratchBytes(update) / sizeof(double));
  launchUpdate(update, actual.items(update), at.data(), {{losses.data(), static_cast<int64_t>(loss.size())}},
               labels.data(), 2, wrongDiff ? skipped.data() : nullptr, scratch.data(), nullptr);
  if (wrongDiff) test::expect(skipped[0] == expectedSkipped, what + ": whether it was skipped");
  const bool isSound = !(wrongDiff && expectedSkipped != 0) && badLabel == 0 &&
                       std::all_of(loss.begin(), loss.end(), [](float value) { return std::isfinite(value); });
  test::expect(*reinterpret_cast<int*>(scratch.data()) == (isSound && schedule[3] != 0),
               what + ": whether values changed");
  for (size_t i = 0; i < expected.counts.size(); ++i) {
    const auto near = [&](const auto& now, const auto& wanted, const char* which) {
      test::nearPlain(now[i], floatsOf(wanted[i]), 1e-5, 1e-6, what + " " + which + " " + std::to_string(i));
    };
    near(actual.values, expected.values, "values");
    near(actual.histories, expected.histories, "history");
    near(actual.seconds, expected.seconds, "second history");
    near(actual.accumulators, expected.accumulators, "accumulator");
    near(actual.averages, expected.averages, "average");
  }
}

constexpr UpdateRule kRules[] = {UpdateRule::sgd,      UpdateRule::nesterov, UpdateRule::adagrad, UpdateRule::rmsprop,
                                 UpdateRule::adadelta, UpdateRule::adam,     UpdateRule::adamw,   UpdateRule::lars};

RESNODE_TEST(update, "every rule, decay and clipping, alone and accumulated") {
  for (UpdateRule rule : kRules) {
    for (int options = 0; options < 8; ++options) {
      // Clipping, and passes that are not the last, are the same for all rules, and slow here.
      const bool isPlain = rule == UpdateRule::sgd;
      if ((options & 2) && !isPlain) continue;
      Update update = updateOf(rule, 4, options & 4 ? 3 : 1);
      if (options & 1) update.regularization = Regularization::L1;
      if (options & 2) update.clipGradients = 0.5f;
      for (float last : {0.0f, 1.0f}) {
        for (float first : {0.0f, 1.0f}) {
          if (!(isPlain && (options & 4)) && !(first == 1 && last == 1)) continue;
          check(update, {0.05f, 3, first, last}, {1, 2}, 0,
                "rule " + std::to_string(static_cast<int>(rule)) + " options " + std::to_string(options));
        }
      }
    }
  }
}

RESNODE_TEST(update, "averages of the weights follow every last pass, of every rule; dampened momentum") {
  for (UpdateRule rule : kRules) {
    for (float last : {0.0f, 1.0f}) {
      check(averaging(updateOf(rule, 4, 2)), {0.05f, 3, 1, last}, {1}, 0,
            "rule " + std::to_string(static_cast<int>(rule)) + " with an average, last " + std::to_string(last));
    }
  }
  for (UpdateRule rule : {UpdateRule::sgd, UpdateRule::nesterov}) {
    Update update = updateOf(rule, 4, 1);
    update.dampened = true;
    check(update, {0.05f, 3, 1, 1}, {1}, 0, "dampened rule " + std::to_string(static_cast<int>(rule)));
  }
}

RESNODE_TEST(update, "more blobs than a launch takes") {
  Update update = updateOf(UpdateRule::sgd, 35, 2);
  update.clipGradients = 0.5f;
  check(update, {0.05f, 0, 1, 1}, {1}, 0, "35 blobs");
}

RESNODE_TEST(update, "clipping leaves a norm below its limit alone") {
  Update update = updateOf(UpdateRule::sgd, 3, 1);
  update.clipGradients = 1e6f;
  check(update, {0.05f, 0, 1, 1}, {1}, 0, "a small norm");
}

RESNODE_TEST(update, "nothing changes where a loss is not finite or a label has no class") {
  for (int64_t iterSize : {1, 2}) {
    const Update update = updateOf(UpdateRule::adam, 3, iterSize);
    for (float wrong : {NAN, INFINITY, -INFINITY}) {
      std::vector<float> loss(300, 1.0f);
      loss[299] = wrong;
      check(update, {0.05f, 0, 1, 1}, loss, 0, "a loss of " + std::to_string(wrong));
    }
    check(update, {0.05f, 0, 1, 1}, {1}, 7, "a wrong label");
  }
}

RESNODE_TEST(update, "diffs are what they are over the loss scale, clipped and accumulated ones too") {
  for (int64_t iterSize : {1, 2}) {
    Update update = updateOf(UpdateRule::sgd, 4, iterSize);
    update.clipGradients = 0.05f;
    check(update, {0.05f, 0, 1, 1}, {1}, 0, "clipped", std::nullopt, 24);
    update.clipGradients = 1.5f;  // less than the norm of the scaled diffs, more than that of the original ones
    check(update, {0.05f, 0, 1, 1}, {1}, 0, "not clipped", std::nullopt, 24);
  }
}

RESNODE_TEST(
    update,
    "diffs that are not finite change nothing where they are looked at, but for accumulators until the first pass") {
  for (int64_t iterSize : {1, 2}) {
    const Update update = updateOf(UpdateRule::adam, 35, iterSize);
    for (float value : {1.0f, NAN, INFINITY, -INFINITY}) {
      check(update, {0.05f, 0, 1, 1}, {1}, 0, "a diff of " + std::to_string(value), value);
    }
    if (iterSize == 1) continue;
    check(update, {0.05f, 0, 1, 0}, {1}, 0, "a first pass", INFINITY);
    check(update, {0.05f, 0, 0, 1}, {1}, 0, "a last pass", INFINITY);
  }
  check(updateOf(UpdateRule::sgd, 4, 1), {0.05f, 0, 1, 1}, {NAN}, 0, "a loss that is NaN is reported as such",
        INFINITY);
}

RESNODE_TEST(update, "repacking gives the bytes that packing gives, and only where values changed") {
  struct Case {
    Packing packing;
    Shape shape;
  };
  for (ElementType type : {ElementType::float32, ElementType::float16, ElementType::bfloat16}) {
    if (!test::isTested(type)) continue;
    std::vector<Case> cases{{{Packing::Form::padded, type, 8}, {5}},
                            {{Packing::Form::filters, type, 8, 4}, {5, 3, 2, 3}},
                            {{Packing::Form::filters, type, 16, 16}, {9, 16, 1, 1}},
                            {{Packing::Form::innerProduct, type, 7, 31}, {7, 31}},
                            {{Packing::Form::innerProduct, type, 3, 8, 6}, {3, 5, 2, 3}}};
    Packing transposed{Packing::Form::innerProduct, type, 4, 8, 6};
    transposed.transposed = true;
    cases.push_back({transposed, {30, 4}});
    for (int i = 0; i < 40; ++i) cases.push_back({{Packing::Form::padded, type, 8}, {i % 8 + 1}});
    std::vector<test::Memory<float>> values;
    std::vector<test::Memory<char>> targets;
    std::vector<Repacking> all;
    for (const Case& each : cases) {
      values.push_back(test::randomMemory<float>(static_cast<size_t>(elementCount(each.shape)),
                                                 static_cast<unsigned>(values.size())));
      targets.emplace_back(packedBytes(each.packing, each.shape));
      std::fill_n(targets.back().data(), targets.back().size(), '\xff');
      all.push_back({each.packing, each.shape, values.back().data(), targets.back().data()});
    }
    test::Memory<int> proceeds(1);
    proceeds[0] = 0;
    launchRepack(all, proceeds.data(), nullptr);
    for (const auto& target : targets) test::expect(target[0] == '\xff', "nothing changed, and was packed");
    proceeds[0] = 1;
    launchRepack(all, proceeds.data(), nullptr);
    for (size_t i = 0; i < cases.size(); ++i) {
      std::vector<char> expected(targets[i].size());
      pack(cases[i].packing, cases[i].shape, values[i].data(), expected.data());
      test::expect(std::equal(expected.begin(), expected.end(), targets[i].data()),
                   std::string(test::nameOf(type)) + " form " + std::to_string(i));
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
