#include "cuda/step.h"

#include "cuda/kernels/repack.h"
#include "cuda/operations/update/update.h"

namespace resnode::cuda {
namespace {

// Where an update finds a blob's tensors: indices among the step's parameters; −1: absent.
struct BlobPlaces {
  int values, accumulator, history, second, average;
};
struct FormPlaces {
  Packing packing;
  Shape shape;
  int values, target;
};

Step forward(const Update& update, const Operation& operation, const StepContext& context) {
  Step step;
  step.nhwcInputs.assign(operation.inputs.size(), false);
  step.implementation = "update";
  step.updates = true;
  step.workspaceBytes = updateScratchBytes(update);
  const auto place = [&](const PackedParameter& parameter) {
    step.parameters.push_back(parameter);
    return static_cast<int>(step.parameters.size()) - 1;
  };
  std::vector<BlobPlaces> blobs;
  std::vector<FormPlaces> forms;
  std::vector<int64_t> counts, lossCounts;
  for (const UpdatedParameter& each : update.parameters) {
    const Parameter& parameter = context.program.parameters[each.parameter];
    const int values = place({each.parameter, {}});
    const int accumulator = each.accumulator ? place({*each.accumulator, {}}) : -1;
    const int history = place({each.history[0], {}}),
              second = each.history.size() > 1 ? place({each.history[1], {}}) : -1;
    const int average = each.average ? place({*each.average, {}}) : -1;
    blobs.push_back({values, accumulator, history, second, average});
    counts.push_back(elementCount(parameter.shape));
    for (const PackedParameter& form : context.formsOf(each.parameter)) {
      if (form.packing.form != Packing::Form::plain)
        forms.push_back({form.packing, parameter.shape, values, place(form)});
    }
  }
  for (size_t i = 1 + blobs.size(); i < operation.inputs.size(); ++i)
    lossCounts.push_back(elementCount(context.input(operation, i).shape));

  step.launch = [=](const Bindings& b, cudaStream_t stream) {
    const auto parameter = [&](int at) { return at < 0 ? nullptr : b.parameter<float>(at); };
    std::vector<UpdatedValues> all;
    for (size_t i = 0; i < blobs.size(); ++i) {
      const BlobPlaces& at = blobs[i];
      all.push_back({parameter(at.values), b.floats(i + 1), parameter(at.accumulator), parameter(at.history),
                     parameter(at.second), parameter(at.average), counts[i], update.parameters[i].lrMult,
                     update.parameters[i].decayMult});
    }
    std::vector<LossValues> losses;
    losses.reserve(lossCounts.size());
    for (size_t i = 0; i < lossCounts.size(); ++i) losses.push_back({b.floats(1 + blobs.size() + i), lossCounts[i]});
    launchUpdate(update, all, b.floats(0), losses, b.badLabel, b.labelChecks, b.floatsOut(0), b.workspace, stream);
    std::vector<Repacking> repackings;
    repackings.reserve(forms.size());
    for (const FormPlaces& form : forms)
      repackings.push_back({form.packing, form.shape, parameter(form.values), parameter(form.target)});
    launchRepack(repackings, reinterpret_cast<const int*>(b.workspace), stream);
  };
  return step;
}

const Steps<Update> kUpdate{forward};

}  // namespace
}  // namespace resnode::cuda
