// A program as steps: implementations and layouts chosen, conversions inserted, buffers with lifetimes. Holds no memory.
#pragma once

#include <memory>
#include <vector>

#include "cuda/step.h"
#include "native/core/backend-support.h"

namespace resnode::cuda {

// Runs under way have a place each where their inputs wait for their turn.
inline constexpr size_t kSlots = kRunsInFlight;

// An input or output of a step, or an output of the program, in another form; `buffer` holds the result, of a step's output
// what it is made of.
struct Conversion {
  size_t index;  // which input, or which output
  int buffer;
  TensorLayout from, to;
  int check = -1;  // of what becomes integers: where it says that a value is not finite
};

struct PlannedStep {
  Step step;
  std::vector<TensorId> inputs, outputs;  // −1: not there, or not wanted
  std::vector<Conversion> conversions;    // of inputs, in their order
  std::vector<Conversion> made;           // of outputs
  int workspace = -1;                     // buffer
  int labelCheck = -1, numberCheck = -1;
};

class CudaPlan final : public Plan {
 public:
  using Chooser = std::function<std::shared_ptr<ConvolutionImplementation>(const ConvolutionProblem&)>;
  // `processes`: those of the program's communicator; null: this one is alone.
  CudaPlan(std::shared_ptr<const Program> program, const PlanOptions& options, Chooser choose,
           std::shared_ptr<NcclCommunicator> processes = nullptr);

  const Program& program() const override { return *program_; }
  const PlanDescription& description() const override { return description_; }
  // Of feature maps.
  ElementType elementType() const { return type_; }
  const TensorLayout& layout(TensorId id) const { return layouts_[id]; }
  const std::vector<PlannedStep>& steps() const { return steps_; }
  int bufferOf(TensorId id) const { return description_.tensorBuffers[id]; }
  // [slot][input of the program] → buffer.
  const std::vector<std::vector<int>>& staging() const { return staging_; }
  // Conversions to plain of the program's outputs, after the last step.
  const std::vector<Conversion>& outputs() const { return outputs_; }
  // Numbers that a run leaves for the host, 0 where all is right: of labels, and of values that became integers.
  int checkBuffer() const { return checkBuffer_; }
  int checks() const { return checks_; }
  // Counters that are zero between kernels, all steps' in turn; −1: none are wanted.
  int arrivalsBuffer() const { return arrivalsBuffer_; }
  size_t arrivalsBytes() const { return arrivals_ * sizeof(unsigned); }
  // Whether a run calls functions of the process.
  bool callsHost() const { return program_->functions != nullptr; }
  // Whether a run changes what learns.
  bool updates() const { return updates_; }
  std::vector<PackedParameter> parameters() const;
  // Those that a run waits for; null: none.
  const std::shared_ptr<NcclCommunicator>& processes() const { return processes_; }

 private:
  int addBuffer(size_t bytes, int from, int to);
  void placeTensor(TensorId id);
  // The output in an input's memory, where nobody reads that afterwards.
  bool shareBuffer(const PlannedStep& planned, TensorId output, TensorId input, int index, bool alias);
  void convertInput(PlannedStep& planned, size_t i, int index);
  void addStep(int index, Step step, std::vector<TensorId> inputs, std::vector<TensorId> outputs);

  std::shared_ptr<const Program> program_;
  ElementType type_;
  std::vector<TensorLayout> layouts_;
  std::vector<TensorLayout> ofNumbers_;  // the same where nothing is of integers
  std::vector<Lifetime> lifetimes_;
  std::vector<PlannedStep> steps_;
  std::vector<bool> returned_;     // by buffer: whether an output of the program lies in it
  std::vector<bool> isMadeEarly_;  // by tensor: as one of a step's moreOutputs
  std::vector<std::vector<int>> staging_;
  std::vector<Conversion> outputs_;
  int checkBuffer_ = -1, checks_ = 0;
  int arrivalsBuffer_ = -1;
  int64_t arrivals_ = 0;
  bool updates_ = false;
  std::shared_ptr<NcclCommunicator> processes_;
  PlanDescription description_;
};

}  // namespace resnode::cuda
