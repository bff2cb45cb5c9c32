// A program as steps, with implementations and layouts chosen, conversions inserted, and a lifetime for every buffer.
// Holds no memory.
#pragma once

#include <memory>
#include <vector>

#include "cuda/step.h"
#include "native/core/backend-support.h"

namespace resnode::cuda {

// Each run in flight has a slot, in which its inputs wait for their turn.
inline constexpr size_t kSlots = kRunsInFlight;

// A conversion of a step's input or output, or of a program's output, to another layout. `buffer` holds the result or,
// for a step's output, the source.
struct Conversion {
  size_t index;  // of the input or output
  int buffer;
  TensorLayout from, to;
  int check = -1;  // if the result is int8: the entry of the check buffer that reports values that are not finite
};

struct PlannedStep {
  Step step;
  std::vector<TensorId> inputs, outputs;  // −1: absent, or not requested
  std::vector<Conversion> conversions;    // of inputs, in order
  std::vector<Conversion> made;           // of outputs
  int workspace = -1;                     // a buffer
  int labelCheck = -1, numberCheck = -1;
};

class CudaPlan final : public Plan {
 public:
  using Chooser = std::function<std::shared_ptr<ConvolutionImplementation>(const ConvolutionProblem&)>;
  // `processes`: those of the program's communicator; null: this process is alone.
  CudaPlan(std::shared_ptr<const Program> program, const PlanOptions& options, Chooser choose,
           std::shared_ptr<NcclCommunicator> processes = nullptr);

  const Program& program() const override { return *program_; }
  const PlanDescription& description() const override { return description_; }
  // The type of feature maps.
  ElementType elementType() const { return type_; }
  const TensorLayout& layout(TensorId id) const { return layouts_[id]; }
  const std::vector<PlannedStep>& steps() const { return steps_; }
  int bufferOf(TensorId id) const { return description_.tensorBuffers[id]; }
  // [slot][input of the program] → buffer.
  const std::vector<std::vector<int>>& staging() const { return staging_; }
  // Conversions of the program's outputs to row-major float32, after the last step.
  const std::vector<Conversion>& outputs() const { return outputs_; }
  // Numbers that a run leaves for the host to check, 0 if all is right: of labels, and of values that were quantized.
  int checkBuffer() const { return checkBuffer_; }
  int checks() const { return checks_; }
  // Counters that are zero between kernels and that all steps share in turn; −1: none are needed.
  int arrivalsBuffer() const { return arrivalsBuffer_; }
  size_t arrivalsBytes() const { return arrivals_ * sizeof(unsigned); }
  // Whether a run calls functions of this process.
  bool callsHost() const { return program_->functions != nullptr; }
  // Whether a run changes parameters.
  bool updates() const { return updates_; }
  std::vector<PackedParameter> parameters() const;
  // The processes for which a run waits; null: none.
  const std::shared_ptr<NcclCommunicator>& processes() const { return processes_; }

 private:
  int addBuffer(size_t bytes, int from, int to);
  void placeTensor(TensorId id);
  // Puts the output into an input's memory, if nobody reads the input afterwards.
  bool shareBuffer(const PlannedStep& planned, TensorId output, TensorId input, int index, bool alias);
  void convertInput(PlannedStep& planned, size_t i, int index);
  void addStep(int index, Step step, std::vector<TensorId> inputs, std::vector<TensorId> outputs);

  std::shared_ptr<const Program> program_;
  ElementType type_;
  std::vector<TensorLayout> layouts_;
  std::vector<TensorLayout> ofNumbers_;  // the same with floating point in place of integers
  std::vector<Lifetime> lifetimes_;
  std::vector<PlannedStep> steps_;
  std::vector<bool> returned_;     // by buffer: whether it holds an output of the program
  std::vector<bool> isMadeEarly_;  // by tensor: whether an earlier step makes it as one of its moreOutputs
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
