// Pooling and its gradient by oneDNN, where its windows are Caffe's.
#include "steps.h"

namespace resnode::cpu {
namespace {

using Forward = dnnl::pooling_forward;
using Backward = dnnl::pooling_backward;

struct Problem {
  dnnl::algorithm algorithm;
  Dims kernel, strides, left, right;
};

// Caffe's average divides by the window inside the padded plane: oneDNN's exclude_padding where there is no padding,
// its include_padding where no window hangs over; nothing for the rest.
std::optional<Problem> describe(const Pooling& pooling, const Shape& in, const Shape& out) {
  Problem problem{dnnl::algorithm::pooling_max, {pooling.kernel.height, pooling.kernel.width}, {pooling.stride.height, pooling.stride.width},
                  {pooling.pad.height, pooling.pad.width}, {0, 0}};
  bool overhangs = false;
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t lastStart = (out[axis + 2] - 1) * problem.strides[axis] - problem.left[axis];
    problem.right[axis] = lastStart + problem.kernel[axis] - in[axis + 2];
    overhangs = overhangs || problem.right[axis] > problem.left[axis];
    // A stride beyond the kernel leaves pixels unread at the far edge; a window may also lie in padding alone.
    if (problem.right[axis] >= problem.kernel[axis] || lastStart >= in[axis + 2]) return std::nullopt;
  }
  if (pooling.method == PoolingMethod::average) {
    const bool padded = problem.left[0] > 0 || problem.left[1] > 0;
    if (padded && overhangs) return std::nullopt;
    problem.algorithm = padded ? dnnl::algorithm::pooling_avg_include_padding : dnnl::algorithm::pooling_avg_exclude_padding;
  }
  return problem;
}

// Empty where oneDNN has nothing for this layout.
Forward::primitive_desc forward(const Problem& problem, dnnl::prop_kind kind, const Layout& source, const Layout& result, const dnnl::engine& engine) {
  const Forward::desc desc(kind, problem.algorithm, source, result, problem.strides, problem.kernel, problem.left, problem.right);
  return Forward::primitive_desc(desc, attributes(), engine, true);
}

}  // namespace

bool addPooling(StepBuilder& step, const Pooling& pooling) {
  const Shape& out = step.outputShape(0);
  if (step.operation().outputs.size() > 1) return false;
  const auto problem = describe(pooling, step.inputShape(0), out);
  if (!problem) return false;
  const auto kind = step.isDifferentiated() ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  Layout source = pooledLayout(step, pooling);
  auto primitive = forward(*problem, kind, source, withType(anyLayout(out), source.data_type()), step.engine());
  if (!primitive) {
    source = plainLayout(step.inputShape(0));
    primitive = forward(*problem, kind, source, plainLayout(out), step.engine());
  }
  const Layout result = primitive.dst_desc();
  std::vector<Argument> arguments{{DNNL_ARG_SRC, step.read(0, source), source},
                                  {DNNL_ARG_DST, step.write(0, result), result},
                                  {DNNL_ARG_SCRATCHPAD, step.scratch(primitive.scratchpad_desc().get_size()), primitive.scratchpad_desc()}};
  if (step.isDifferentiated()) {
    PlanState::Kept kept{{}, source, result, primitive.workspace_desc()};
    if (kept.workspace.get_size() > 0) {
      kept.place = step.keep(kept.workspace);
      arguments.push_back({DNNL_ARG_WORKSPACE, kept.place, kept.workspace});
    }
    step.state().kept.emplace(step.index(), kept);
  }
  step.call(Forward(primitive), std::move(arguments));
  step.describe(primitive.impl_info_str());
  return true;
}

// inputs: x, y, dy (x and y are not read); outputs: dx.
bool addPoolingGradient(StepBuilder& step, const Pooling& pooling) {
  const auto found = step.state().kept.find(std::get<Gradient>(step.operation().attributes).of);
  if (found == step.state().kept.end() || !step.hasInput(2)) return false;
  const PlanState::Kept& kept = found->second;
  const auto problem = describe(pooling, kept.source.dims(), kept.result.dims());
  const auto hint = forward(*problem, dnnl::prop_kind::forward_training, kept.source, kept.result, step.engine());
  const Backward::desc desc(problem->algorithm, kept.source, kept.result, problem->strides, problem->kernel, problem->left, problem->right);
  const Backward::primitive_desc primitive(desc, attributes(), step.engine(), hint);
  std::vector<Argument> arguments{{DNNL_ARG_DIFF_DST, step.read(2, kept.result), kept.result},
                                  {DNNL_ARG_DIFF_SRC, step.write(0, kept.source), kept.source},
                                  {DNNL_ARG_SCRATCHPAD, step.scratch(primitive.scratchpad_desc().get_size()), primitive.scratchpad_desc()}};
  if (kept.workspace.get_size() > 0) arguments.push_back({DNNL_ARG_WORKSPACE, kept.place, kept.workspace});
  step.call(Backward(primitive), std::move(arguments));
  step.describe(primitive.impl_info_str());
  return true;
}

bool poolingGradientReadsOnlyDiffs(const Pooling& pooling, const Shape& in, const Shape& out) { return describe(pooling, in, out).has_value(); }

}  // namespace resnode::cpu
