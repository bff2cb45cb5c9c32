// What other steps do where activations are int8.
#include "native/cpu/steps.h"

namespace resnode::cpu {

Layout pooledLayout(const StepBuilder& step, const Pooling& pooling) {
  const PlanState& state = step.state();
  const TensorId in = step.operation().inputs[0];
  const Quantized &source = state.quantized[in], &result = state.quantized[step.operation().outputs[0]];
  const bool keeps = pooling.method == PoolingMethod::max && result.isMade && result.scale == source.scale &&
                     result.type == source.type;
  return keeps && isInt8(state.layouts[in]) ? state.layouts[in] : step.layout(0);
}

void quantizeOutputs(StepBuilder& step) {
  const PlanState& state = step.state();
  for (size_t i = 0; i < step.operation().outputs.size(); ++i) {
    if (!step.hasOutput(i)) continue;
    const TensorId id = step.operation().outputs[i];
    const int buffer = state.description.tensorBuffers[id];
    if (!state.quantized[id].isMade || isInt8(state.layouts[id]) || step.outputShape(i).size() != 4) continue;
    // A buffer that is shared with what came before may still be read under that name.
    if (buffer < 0 || state.description.buffers[buffer].from != step.index() || state.isPinned[buffer]) continue;
    step.convert(i, Layout(step.outputShape(i), state.quantized[id].type, dnnl::memory::format_tag::nhwc));
  }
}

}  // namespace resnode::cpu
