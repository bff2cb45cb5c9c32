// The plan of one operation: its requirements, and a function that launches it on pointers that are bound later.
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

// All memory that a launch reads and writes, in the step's own order.
struct Bindings {
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  std::vector<void*> parameters;
  char* workspace = nullptr;
  unsigned* arrivals = nullptr;  // the executable's counters, see ConvolutionArguments
  int* badLabel = nullptr;       // for steps that check labels; an update gets those of all steps
  int64_t labelChecks = 0;       // for an update
  int* notFinite = nullptr;      // for steps that check that values are finite

  template <class T>
  T* parameter(size_t i) const {
    return static_cast<T*>(parameters[i]);
  }
  const float* floats(size_t i) const { return static_cast<const float*>(inputs[i]); }
  // Null: absent, or not requested.
  float* floatsOut(size_t i) const { return i < outputs.size() ? static_cast<float*>(outputs[i]) : nullptr; }
};

using LaunchFunction = std::function<void(const Bindings&, cudaStream_t)>;

struct Step {
  std::vector<bool> nhwcInputs;  // whether each input must be nhwc
  // The int8 layouts of inputs. For inputs beyond the end, or with another type, nhwcInputs applies.
  std::vector<TensorLayout> integers;
  // The first output is written as integers if its layout says so; other outputs are written in floating point and
  // converted.
  bool makesIntegers = false;
  std::vector<TensorId> moreInputs;  // inputs after the operation's own
  // Outputs after the operation's own, which belong to later operations (StepContext::isMade).
  std::vector<TensorId> moreOutputs;
  bool leavesOut = false;  // does not write its first output, because steps without work or from other memory read it
  std::vector<PackedParameter> parameters;
  std::vector<size_t> inPlace;    // inputs that the first output may overwrite
  bool eachOverItsInput = false;  // output i may overwrite input i
  size_t workspaceBytes = 0;
  int64_t arrivals = 0;
  std::optional<size_t> aliasOf;  // the first output uses this input's memory, if allowed
  bool checksLabels = false;
  int64_t labelClasses = 0;    // for a step that checks labels
  bool checksNumbers = false;  // whether the values that it quantizes are checked to be finite
  bool updates = false;        // changes parameters, unless a label is invalid
  std::string implementation;
  LaunchFunction launch;  // null: another step does the work
};

struct StepContext {
  const Program& program;
  const std::vector<TensorLayout>& layouts;  // of the program's tensors, in floating point only: what steps work with
  const std::vector<TensorLayout>& stored;   // as in memory, where some are integers
  ElementType type;
  bool tf32;
  bool trains;                                  // the program has a backward pass
  const Quantization& quantization;             // without ranges nothing is quantized
  std::shared_ptr<NcclCommunicator> processes;  // the processes that train together; null: this process is alone
  // Chooses the implementation of a convolution.
  std::function<std::shared_ptr<ConvolutionImplementation>(const ConvolutionProblem&)> choose;
  // Whether an earlier step writes this tensor as one of its moreOutputs.
  std::function<bool(TensorId)> isMade;
  // The packings of a parameter that earlier steps read.
  std::function<std::vector<PackedParameter>(ParameterId)> formsOf;

  const TensorLayout& input(const Operation& operation, size_t i) const { return layouts[operation.inputs[i]]; }
  const TensorLayout& output(const Operation& operation, size_t i) const { return layouts[operation.outputs[i]]; }
};

// A step whose inputs have its output's layout.
Step likeOutput(const Operation& operation, const StepContext& context, const char* implementation);
// A step on row-major float32 tensors.
Step plainStep(const Operation& operation, const char* implementation);

// The bytes of a scratch buffer of floats.
inline size_t bytesOfFloats(int64_t count) { return static_cast<size_t>(count) * sizeof(float); }
inline float* floatsAt(const Bindings& b, size_t bytes = 0) { return reinterpret_cast<float*>(b.workspace + bytes); }

// The step of an operation. Throws Error("device/unsupported") for a kind that has none.
Step makeStep(const Operation& operation, const StepContext& context);

struct GradientContext;

struct KindSteps {
  std::function<Step(const Attributes&, const Operation&, const StepContext&)> forward;
  std::function<Step(const Attributes&, const GradientContext&)> backward;
};
KindTable<KindSteps>& kindSteps();

// The steps of a kind, registered in the file that defines them (cuda/operations/<kind>/step.cc): const Steps<Pooling>
// kPooling{forward, backward};
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
