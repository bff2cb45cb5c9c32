// The solver's update. Diffs come in the parameters' layouts.
#include "native/core/backend-support.h"
#include "native/core/error.h"
#include "native/cpu/kind-steps.h"
#include "native/operations/update/cpu-update.h"

namespace resnode::cpu {
namespace {

bool addUpdate(StepBuilder& step, const Update& update) {
  std::vector<Place> places{step.readPlain(0)};
  std::vector<int64_t> counts;
  for (size_t i = 0; i < update.parameters.size(); ++i) {
    const UpdatedParameter& each = update.parameters[i];
    const Pack kept = step.master(each.parameter);
    const auto alike = [&](ParameterId id) {
      const Pack wanted{id, kept.plain, kept.layout};
      if (!(step.master(id, &wanted).layout == kept.layout))
        throw Error("program/invalid", "a history is kept unlike its parameter", step.operation().layer);
      return step.masterPlace(id);
    };
    places.push_back(step.masterPlace(each.parameter));
    const auto diff = [&] {
      return kept.layout == kept.plain ? step.readPlain(i + 1) : step.read(i + 1, kept.layout, kept.plain);
    };
    places.push_back(step.hasInput(i + 1) ? diff() : Place{});
    places.push_back(each.accumulator ? alike(*each.accumulator) : Place{});
    for (size_t slot : {0, 1}) places.push_back(slot < each.history.size() ? alike(each.history[slot]) : Place{});
    places.push_back(each.average ? alike(*each.average) : Place{});
    counts.push_back(elementCount(step.program().parameters[each.parameter].shape));
  }
  std::vector<int64_t> lossCounts;
  for (size_t i = 1 + update.parameters.size(); i < step.operation().inputs.size(); ++i) {
    places.push_back(step.readPlain(i));
    lossCounts.push_back(elementCount(step.program().tensors[step.operation().inputs[i]].shape));
  }
  step.call(std::move(places),
            [&update, counts, lossCounts, pool = step.pool()](const std::vector<void*>& addresses) -> Work {
              std::vector<Updated> parameters;
              auto next = addresses.begin() + 1;
              const auto take = [&] { return static_cast<float*>(*next++); };
              for (size_t i = 0; i < counts.size(); ++i) {
                const UpdatedParameter& each = update.parameters[i];
                Updated updated{take(), take(), take(), {}, nullptr, counts[i], each.lrMult, each.decayMult};
                for (float*& history : updated.history) history = take();
                updated.average = take();
                parameters.push_back(updated);
              }
              std::vector<std::pair<const float*, int64_t>> losses;
              losses.reserve(lossCounts.size());
              for (const int64_t count : lossCounts) losses.emplace_back(take(), count);
              return [updater = std::make_shared<Updater>(update, std::move(parameters), pool),
                      schedule = static_cast<const float*>(addresses[0]), losses] {
                for (const auto& [loss, count] : losses)
                  if (!allFinite(loss, count)) return;
                updater->run(schedule);
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Update> kUpdate{addUpdate};

}  // namespace
}  // namespace resnode::cpu
