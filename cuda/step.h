// What a plan makes of one operation: what it wants, and a function that launches it on pointers that are bound later.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda/convolution/problem.h"
#include "cuda/layout.h"
#include "cuda/parameters.h"
#include "native/core/kind-table.h"

namespace resnode::cuda {

class NcclCommunicator;

// Everything that a launch reads and writes, in the step's own order.
struct Bindings {
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  std::vector<void*> parameters;
  char* workspace = nullptr;
  unsigned* arrivals = nullptr;  // the executable's own counters: ConvolutionArguments
  int* badLabel = nullptr;       // of steps that check labels; of an update all of theirs
  int64_t labelChecks = 0;       // of an update
  int* notFinite = nullptr;      // of steps that check numbers

  template <class T>
  T* parameter(size_t i) const {
    return static_cast<T*>(parameters[i]);
  }
  const float* floats(size_t i) const { return static_cast<const float*>(inputs[i]); }
  // Null: not wanted, or not there.
  float* floatsOut(size_t i) const { return i < outputs.size() ? static_cast<float*>(outputs[i]) : nullptr; }
};

using LaunchFunction = std::function<void(const Bindings&, cudaStream_t)>;

struct Step {
  std::vector<bool> nhwcInputs;  // the form that each input must have
  // Of inputs that are read as 8-bit integers: as which; fewer than inputs, or real numbers: as nhwcInputs says.
  std::vector<TensorLayout> integers;
  bool makesIntegers = false;        // the first output, where its layout has them; others are made real and converted
  std::vector<TensorId> moreInputs;  // read behind the operation's own
  // Made behind the operation's own, where an operation that comes later finds them: StepContext::isMade.
  std::vector<TensorId> moreOutputs;
  bool leavesOut = false;  // does not make its first output, which nothing but a step without work reads
  std::vector<PackedParameter> parameters;
  std::vector<size_t> inPlace;    // inputs that the first output may overwrite
  bool eachOverItsInput = false;  // each output may overwrite the input at its place
  size_t workspaceBytes = 0;
  int64_t arrivals = 0;
  std::optional<size_t> aliasOf;  // the first output is this input's memory, where that is allowed
  bool checksLabels = false;
  int64_t labelClasses = 0;    // of a step that checks labels
  bool checksNumbers = false;  // those that it makes integers of, which must be finite
  bool updates = false;        // changes what learns, unless a label is wrong
  std::string implementation;
  LaunchFunction launch;  // null: another step does this one's work
};

struct StepContext {
  const Program& program;
  const std::vector<TensorLayout>& layouts;  // of the program's tensors, all of real numbers: what steps are given
  const std::vector<TensorLayout>& stored;   // as they lie in memory: some of integers
  ElementType type;
  bool tf32;
  bool trains;                                  // the program has a backward pass
  const Quantization& quantization;             // without ranges: nothing is of integers
  std::shared_ptr<NcclCommunicator> processes;  // that train together; null: this one is alone
  // Chooses what computes a convolution.
  std::function<std::shared_ptr<ConvolutionImplementation>(const ConvolutionProblem&)> choose;
  // Whether a step made so far makes a tensor as one of its moreOutputs.
  std::function<bool(TensorId)> isMade;
  // The forms of a parameter that the steps made so far read.
  std::function<std::vector<PackedParameter>(ParameterId)> formsOf;

  const TensorLayout& input(const Operation& operation, size_t i) const { return layouts[operation.inputs[i]]; }
  const TensorLayout& output(const Operation& operation, size_t i) const { return layouts[operation.outputs[i]]; }
};

// A step whose inputs have its output's layout.
Step likeOutput(const Operation& operation, const StepContext& context, const char* implementation);
// A step on plain tensors.
Step plainStep(const Operation& operation, const char* implementation);

// Scratch memory of a step, as floats.
inline size_t bytesOfFloats(int64_t count) { return static_cast<size_t>(count) * sizeof(float); }
inline float* floatsAt(const Bindings& b, size_t bytes = 0) { return reinterpret_cast<float*>(b.workspace + bytes); }

// The step of an operation. Throws Error("device/unsupported") where its kind has none.
Step makeStep(const Operation& operation, const StepContext& context);

struct GradientContext;

struct KindSteps {
  std::function<Step(const Attributes&, const Operation&, const StepContext&)> forward;
  std::function<Step(const Attributes&, const GradientContext&)> backward;
};
KindTable<KindSteps>& kindSteps();

// The steps of a kind, registered where they stand (cuda/operations/<kind>/step.cc):
// const Steps<Pooling> kPooling{forward, backward};
template <class Kind>
class Steps {
 public:
  using Forward = Step (*)(const Kind&, const Operation&, const StepContext&);
  using Backward = Step (*)(const Kind&, const GradientContext&);
  explicit Steps(Forward forward, Backward backward = nullptr) {
    KindSteps& steps = kindSteps().of<Kind>();
    steps.forward = [forward](const Attributes& kind, const Operation& operation, const StepContext& context) {
      return forward(kind.get<Kind>(), operation, context);
    };
    if (backward)
      steps.backward = [backward](const Attributes& kind, const GradientContext& gradient) {
        return backward(kind.get<Kind>(), gradient);
      };
  }
};

}  // namespace resnode::cuda
