#include "cuda/plan.h"

#include <algorithm>
#include <set>

#include "cuda/operations/classifier-head/match.h"

namespace resnode::cuda {
namespace {

// In int8: the type of maps that are not quantized.
ElementType elementTypeOf(Precision precision) {
  return precision == Precision::float16 || precision == Precision::int8 ? ElementType::float16
         : precision == Precision::bfloat16                              ? ElementType::bfloat16
                                                                         : ElementType::float32;
}

// Whether runs wait for the other processes of the communicator.
bool isShared(const Program& program) {
  return std::any_of(program.operations.begin(), program.operations.end(), [](const Operation& operation) {
    const auto* batchNorm = operation.attributes.as<BatchNorm>();
    return operation.attributes.is<AllMean>() || (batchNorm && batchNorm->synchronised);
  });
}

}  // namespace

CudaPlan::CudaPlan(std::shared_ptr<const Program> program, const PlanOptions& options, Chooser choose,
                   std::shared_ptr<NcclCommunicator> processes)
    : program_(std::move(program)),
      type_(elementTypeOf(options.precision)),
      layouts_(chooseLayouts(*program_, type_, options.quantization)),
      ofNumbers_(layouts_),
      lifetimes_(tensorLifetimes(*program_)),
      processes_(isShared(*program_) ? std::move(processes) : nullptr) {
  const auto formsOf = [this](ParameterId id) {
    std::set<PackedParameter> forms;
    for (const PackedParameter& each : parameters()) {
      if (each.id == id) forms.insert(each);
    }
    return std::vector<PackedParameter>(forms.begin(), forms.end());
  };
  const auto isMade = [this](TensorId id) { return id >= 0 && isMadeEarly_[id]; };
  const bool trains = std::any_of(program_->operations.begin(), program_->operations.end(),
                                  [](const Operation& operation) { return operation.attributes.is<Gradient>(); });
  for (TensorLayout& layout : ofNumbers_) {
    if (isInteger(layout.type)) layout = nhwcLayout(layout.shape, type_);
  }
  const bool tf32 = options.precision == Precision::tf32;
  const StepContext context{*program_,  ofNumbers_,        layouts_, type_,  tf32, trains, options.quantization,
                            processes_, std::move(choose), isMade,   formsOf};
  const int last = std::max(0, static_cast<int>(program_->operations.size()) - 1);
  description_.tensorBuffers.assign(program_->tensors.size(), -1);
  isMadeEarly_.assign(program_->tensors.size(), false);

  // A classifier head runs in place of its softmax. Until then its feature map must live, and the pooled values are
  // never stored.
  std::vector<const ClassifierHeadMatch*> headAt(program_->operations.size(), nullptr);
  const std::vector<ClassifierHeadMatch> heads = findClassifierHeads(*program_, layouts_);
  for (const ClassifierHeadMatch& head : heads) {
    for (int index : {head.pooling, head.innerProduct, head.softmax}) headAt[index] = &head;
    Lifetime& map = lifetimes_[program_->operations[head.pooling].inputs[0]];
    map.to = std::max(map.to, head.softmax);
    lifetimes_[program_->operations[head.innerProduct].outputs[0]].from = head.softmax;
  }

  // A step that computes one of its inputs while reading needs that input's source.
  for (int i = 0; i < static_cast<int>(program_->operations.size()); ++i) {
    for (TensorId id : program_->operations[i].inputs) {
      for (TensorId of : id < 0 ? std::vector<TensorId>{} : std::vector{layouts_[id].affineOf, layouts_[id].pixelsOf})
        if (of >= 0) lifetimes_[of].to = std::max(lifetimes_[of].to, i);
    }
  }

  for (TensorId id : program_->inputs) placeTensor(id);
  for (size_t slot = 0; slot < kSlots; ++slot) {
    std::vector<int> buffers;
    for (TensorId id : program_->inputs) {
      const size_t bytes = elementCount(program_->tensors[id].shape) * sizeof(float);
      buffers.push_back(addBuffer(bytes, 0, last));
    }
    staging_.push_back(std::move(buffers));
  }
  for (int i = 0; i <= last && i < static_cast<int>(program_->operations.size()); ++i) {
    const Operation& operation = program_->operations[i];
    const ClassifierHeadMatch* head = headAt[i];
    if (!head) {
      addStep(i, makeStep(operation, context), operation.inputs, operation.outputs);
    } else if (i != head->softmax) {
      addStep(i, {}, {}, {});
      steps_.back().step.implementation = "in the classifier head";
    } else {
      const Operation& pooling = program_->operations[head->pooling];
      const Operation& innerProduct = program_->operations[head->innerProduct];
      addStep(i, makeClassifierHeadStep(pooling, innerProduct, context), pooling.inputs,
              {innerProduct.outputs[0], operation.outputs[0]});
    }
    description_.implementations.push_back(steps_.back().step.implementation);
  }
  for (size_t i = 0; i < program_->outputs.size(); ++i) {
    const TensorId id = program_->outputs[i];
    if (!layouts_[id].isNhwc) continue;
    const TensorLayout plain = plainLayout(layouts_[id].shape);
    outputs_.push_back({i, addBuffer(plain.bytes(), last, last), layouts_[id], plain});
  }
  if (arrivals_ > 0) arrivalsBuffer_ = addBuffer(arrivalsBytes(), 0, last);
  if (checks_ > 0) checkBuffer_ = addBuffer(checks_ * sizeof(int), 0, last);
  description_.arena = placeBuffers(description_.buffers, kAlignment);
  std::set<PackedParameter> seen;
  for (const PackedParameter& each : parameters()) {
    if (seen.insert(each).second)
      description_.parameterBytes += aligned(packedBytes(each.packing, program_->parameters[each.id].shape));
  }
}

std::vector<PackedParameter> CudaPlan::parameters() const {
  std::vector<PackedParameter> all;
  for (const PlannedStep& planned : steps_)
    all.insert(all.end(), planned.step.parameters.begin(), planned.step.parameters.end());
  return all;
}

int CudaPlan::addBuffer(size_t bytes, int from, int to) {
  description_.buffers.push_back({bytes, from, to});
  returned_.push_back(false);
  return static_cast<int>(description_.buffers.size()) - 1;
}

void CudaPlan::placeTensor(TensorId id) {
  if (description_.tensorBuffers[id] >= 0 || lifetimes_[id].from < 0) return;
  const int buffer = addBuffer(layouts_[id].bytes(), lifetimes_[id].from, lifetimes_[id].to);
  description_.tensorBuffers[id] = buffer;
  returned_[buffer] = std::count(program_->outputs.begin(), program_->outputs.end(), id) > 0;
}

bool CudaPlan::shareBuffer(const PlannedStep& planned, TensorId output, TensorId input, int index, bool alias) {
  if (output < 0 || input < 0) return false;
  const int buffer = bufferOf(input);
  const bool converted = std::any_of(planned.conversions.begin(), planned.conversions.end(),
                                     [&](const Conversion& each) { return planned.inputs[each.index] == input; });
  if (buffer < 0 || converted || bufferOf(output) >= 0 || lifetimes_[output].from < 0) return false;
  if (layouts_[input].bytes() != layouts_[output].bytes()) return false;
  PlannedBuffer& shared = description_.buffers[buffer];
  // An alias changes nothing. A result may only overwrite values that neither a later step nor the user reads.
  if (!alias && (shared.to != index || returned_[buffer])) return false;
  description_.tensorBuffers[output] = buffer;
  shared.to = std::max(shared.to, lifetimes_[output].to);
  if (std::count(program_->outputs.begin(), program_->outputs.end(), output) > 0) returned_[buffer] = true;
  return true;
}

// Each conversion changes one thing: row-major ↔ nhwc, or floating point ↔ integers.
void CudaPlan::convertInput(PlannedStep& planned, size_t i, int index) {
  const std::vector<TensorLayout>& integers = planned.step.integers;
  TensorLayout has = layouts_[planned.inputs[i]];
  const auto to = [&](const TensorLayout& wanted) {
    planned.conversions.push_back(
        {i, addBuffer(wanted.bytes(), index, index), has, wanted, isInteger(wanted.type) ? checks_++ : -1});
    has = wanted;
  };
  const bool wantsIntegers = i < integers.size() && isInteger(integers[i].type);
  if (wantsIntegers && has.type == integers[i].type && has.scale == integers[i].scale) return;
  if (isInteger(has.type)) to(nhwcLayout(has.shape, type_));
  if (has.isNhwc && !planned.step.nhwcInputs[i]) to(plainLayout(has.shape));
  else if (!has.isNhwc && planned.step.nhwcInputs[i]) to(nhwcLayout(has.shape, type_));
  if (wantsIntegers) to(integers[i]);
}

void CudaPlan::addStep(int index, Step step, std::vector<TensorId> inputs, std::vector<TensorId> outputs) {
  inputs.insert(inputs.end(), step.moreInputs.begin(), step.moreInputs.end());
  if (step.leavesOut) outputs[0] = -1;
  outputs.insert(outputs.end(), step.moreOutputs.begin(), step.moreOutputs.end());
  for (TensorId id : step.moreOutputs) {
    isMadeEarly_[id] = true;
    lifetimes_[id].from = std::min(lifetimes_[id].from, index);
  }
  PlannedStep planned{std::move(step), std::move(inputs), std::move(outputs), {}, {}, -1, -1, -1};
  for (size_t i = 0; i < planned.inputs.size(); ++i) {
    if (planned.inputs[i] >= 0) convertInput(planned, i, index);
  }
  for (size_t i = 0; i < planned.outputs.size(); ++i) {
    if (planned.outputs[i] < 0) continue;
    const TensorLayout& to = layouts_[planned.outputs[i]];
    if (!isInteger(to.type) || (i == 0 && planned.step.makesIntegers)) continue;
    const TensorLayout from = nhwcLayout(to.shape, type_);
    planned.made.push_back({i, addBuffer(from.bytes(), index, index), from, to, checks_++});
  }
  if (!planned.made.empty()) {
    // An output that is converted afterwards cannot share an input's memory.
    planned.step.aliasOf.reset();
    planned.step.inPlace.clear();
    planned.step.eachOverItsInput = false;
  }
  if (!planned.outputs.empty()) {
    const TensorId output = planned.outputs[0];
    if (planned.step.aliasOf) shareBuffer(planned, output, planned.inputs[*planned.step.aliasOf], index, true);
    for (size_t i : planned.step.inPlace) shareBuffer(planned, output, planned.inputs[i], index, false);
  }
  for (size_t i = 0; planned.step.eachOverItsInput && i < planned.outputs.size(); ++i) {
    shareBuffer(planned, planned.outputs[i], planned.inputs[i], index, false);
  }
  for (TensorId id : planned.outputs) {
    if (id >= 0) placeTensor(id);
  }
  if (planned.step.workspaceBytes > 0) planned.workspace = addBuffer(planned.step.workspaceBytes, index, index);
  arrivals_ = std::max(arrivals_, planned.step.arrivals);
  if (planned.step.checksLabels) planned.labelCheck = checks_++;
  if (planned.step.checksNumbers) planned.numberCheck = checks_++;
  updates_ = updates_ || planned.step.updates;
  steps_.push_back(std::move(planned));
}

}  // namespace resnode::cuda
