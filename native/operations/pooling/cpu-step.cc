// Pooling and its gradient by our loops, or by oneDNN for windows that agree with Caffe's.
#include "native/core/subsampling.h"
#include "native/cpu/bfloat16-copy.h"
#include "native/cpu/kind-steps.h"
#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/pooling/cpu-loops.h"
#include "native/operations/pooling/cpu-sampling.h"

namespace resnode::cpu {
namespace {

using PoolingForward = dnnl::pooling_forward;

using PoolingBackward = dnnl::pooling_backward;

struct PoolingProblem {
  dnnl::algorithm algorithm;
  Dims kernel, strides, left, right;
};

// Caffe's average divides by the part of the window inside the padded plane. This is oneDNN's exclude_padding if there
// is no padding, and its include_padding if no window exceeds the padded plane. Empty otherwise.
std::optional<PoolingProblem> describe(const Pooling& pooling, const Shape& in, const Shape& out) {
  PoolingProblem problem{dnnl::algorithm::pooling_max,
                         {pooling.kernel.height, pooling.kernel.width},
                         {pooling.stride.height, pooling.stride.width},
                         {pooling.pad.height, pooling.pad.width},
                         {0, 0}};
  bool overhangs = false;
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t lastStart = (out[axis + 2] - 1) * problem.strides[axis] - problem.left[axis];
    problem.right[axis] = lastStart + problem.kernel[axis] - in[axis + 2];
    overhangs = overhangs || problem.right[axis] > problem.left[axis];
    // With a stride beyond the kernel, pixels at the far edge are not read. A window may also be entirely in the
    // padding.
    if (problem.right[axis] < 0 || problem.right[axis] >= problem.kernel[axis] || lastStart >= in[axis + 2])
      return std::nullopt;
  }
  if (pooling.method == PoolingMethod::average) {
    const bool padded = problem.left[0] > 0 || problem.left[1] > 0;
    if (padded && overhangs) return std::nullopt;
    problem.algorithm =
        padded ? dnnl::algorithm::pooling_avg_include_padding : dnnl::algorithm::pooling_avg_exclude_padding;
  }
  return problem;
}

// Empty if oneDNN has no implementation for this layout.
PoolingForward::primitive_desc forward(const PoolingProblem& problem, dnnl::prop_kind kind, const Layout& source,
                                       const Layout& result, const dnnl::engine& engine) {
  const PoolingForward::desc desc(kind, problem.algorithm, source, result, problem.strides, problem.kernel,
                                  problem.left, problem.right);
  return PoolingForward::primitive_desc(desc, attributes(), engine, true);
}

// Caffe's rounding up may add a window outside the plane.
bool isSampling(const Pooling& pooling, const Shape& in, const Shape& out) {
  return isSubsampling(pooling) && hasLastInside(pooling, in, out);
}

// The same layout for another plane size; empty if our loops cannot process it.
std::optional<Layout> resized(const Layout& layout, const Shape& shape) {
  const auto of = [&](const Dims& dims, int lanes) {
    return withType(lanes == 0   ? channelsLast(dims)
                    : lanes == 1 ? plainLayout(dims)
                                 : blocked(dims, {{1, lanes}}),
                    layout.data_type());
  };
  for (int lanes : {1, 16, 8, 0}) {
    if (layout == of(layout.dims(), lanes)) return of(shape, lanes);
  }
  return std::nullopt;
}

// `layout`: of the larger tensor, which determines both.
Sampling samplingOf(const Pooling& pooling, const Layout& layout, const Shape& in, const Shape& out) {
  const ChannelView view = *channelView(layout);
  return {view.outer * view.blocks * view.inner / (in[2] * in[3]),
          in[2],
          in[3],
          out[2],
          out[3],
          pooling.stride.height,
          pooling.stride.width,
          view.lanes};
}

// The layout of the input: bfloat16 as stored, int8 only if values of it are selected and the result is also read as
// int8.
Layout pooledLayout(const StepBuilder& step, const Pooling& pooling) {
  const PlanState& state = step.state();
  const TensorId in = step.operation().inputs[0];
  if (isBfloat16(state.layouts[in])) return state.layouts[in];
  const Quantized &source = state.quantized[in], &result = state.quantized[step.operation().outputs[0]];
  const bool keeps =
      selectsValues(pooling) && result.isMade && result.scale == source.scale && result.isUnsigned == source.isUnsigned;
  return keeps && isInt8(state.layouts[in]) ? state.layouts[in] : step.layout(0);
}

bool addSampling(StepBuilder& step, const Pooling& pooling) {
  const Shape &in = step.inputShape(0), &out = step.outputShape(0);
  const Layout wanted = pooledLayout(step, pooling);
  const bool suits = resized(wanted, out).has_value();
  const Layout source = suits ? wanted : step.plain(0), result = *resized(source, out);
  const Sampling sampling = samplingOf(pooling, source, in, out);
  const size_t bytes = isInt8(source) ? 1 : isBfloat16(source) ? sizeof(uint16_t) : sizeof(float);
  step.call({step.read(0, source), step.write(0, result)},
            [sampling, bytes, pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<char*>(at[0]), y = static_cast<char*>(at[1])] {
                sample(pool, sampling, bytes, x, y);
              };
            });
  step.describe(isInt8(source) ? "loops int8" : isBfloat16(source) ? "loops bfloat16" : "loops");
  return true;
}

// By our loops on our threads, in the layout of our convolutions.
bool addBlockedPooling(StepBuilder& step, const Pooling& pooling) {
  const Shape in = step.inputShape(0), out = step.outputShape(0);
  if (!step.pool() || in.size() != 4) return false;
  if (!hasLastInside(pooling, in, out)) return false;
  const Layout wanted = pooledLayout(step, pooling), result = blockedLayout(out);
  const int64_t planes = channelView(result)->outer * channelView(result)->blocks;
  if (isInt8(wanted) && wanted == withType(blockedLayout(in), wanted.data_type())) {
    const bool areUnsigned = wanted.data_type() == ValueType::u8;
    step.call({step.read(0, wanted), step.write(0, withType(result, wanted.data_type()))},
              [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
                return [=, x = static_cast<uint8_t*>(at[0]), y = static_cast<uint8_t*>(at[1])] {
                  maximumOfBytes(*pool, pooling, in, out, planes, areUnsigned, x, y);
                };
              });
    step.describe("loops int8");
    return true;
  }
  if (isBfloat16(wanted)) {
    step.call({step.read(0, wanted), step.write(0, bfloat16Layout(out))},
              [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
                return [=, x = static_cast<uint16_t*>(at[0]), y = static_cast<uint16_t*>(at[1])] {
                  poolBfloat16(*pool, pooling, in, out, planes, x, y);
                };
              });
    step.describe("loops bfloat16");
    return true;
  }
  const bool keepsPlaces = pooling.method == PoolingMethod::max && step.isDifferentiated() &&
                           pooling.kernel.height * pooling.kernel.width < kMostPlaces;
  if (keepsPlaces) {
    // Two 16-bit values take the space of one float.
    const Layout layout = plainLayout({ceiling(floatsIn(result), 2)});
    const Place where = step.keep(layout);
    step.state().kept.emplace(step.index(), PlanState::Kept{where, blockedLayout(in), result, layout});
    step.call({step.read(0, blockedLayout(in)), step.write(0, result), where},
              [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
                return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1]),
                        where = static_cast<uint16_t*>(at[2])] {
                  maximaWithPlaces(*pool, pooling, in, out, planes, x, y, where);
                };
              });
    step.describe("loops");
    return true;
  }
  step.call({step.read(0, blockedLayout(in)), step.write(0, result)},
            [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                poolBlocked(*pool, pooling, in, out, planes, x, y);
              };
            });
  step.describe("loops");
  return true;
}

// With a mask as second output. The reference loops compute its gradient.
bool addMaskedPooling(StepBuilder& step, const Pooling& pooling) {
  const Shape in = step.inputShape(0), out = step.outputShape(0);
  if (!step.pool() || in.size() != 4 || pooling.method != PoolingMethod::max || !hasLastInside(pooling, in, out))
    return false;
  const Layout result = blockedLayout(out);
  const int64_t planes = channelView(result)->outer * channelView(result)->blocks;
  step.call({step.read(0, blockedLayout(in)), step.write(0, result), step.write(1, result)},
            [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
              return
                  [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1]),
                   mask = static_cast<float*>(at[2])] { maximaWithMask(*pool, pooling, in, out, planes, x, y, mask); };
            });
  step.describe("loops");
  return true;
}

bool addSamplingGradient(StepBuilder& step, const Pooling& pooling) {
  const Shape &in = step.outputShape(0), &out = step.inputShape(2);
  const bool suits = resized(step.layout(2), in).has_value();
  const Layout source = suits ? step.layout(2) : step.plain(2), result = *resized(source, in);
  const Sampling sampling = samplingOf(pooling, result, in, out);
  step.call({step.read(2, source), step.write(0, result)},
            [sampling, pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, dy = static_cast<float*>(at[0]), dx = static_cast<float*>(at[1])] {
                sampleGradient(pool, sampling, dy, dx);
              };
            });
  step.describe("loops");
  return true;
}

bool addBlockedPoolingGradient(StepBuilder& step, const Pooling& pooling) {
  const Shape in = step.outputShape(0), out = step.inputShape(2);
  if (in.size() != 4 || !hasLastInside(pooling, in, out)) return false;
  const auto kept = step.state().kept.find(step.operation().attributes.get<Gradient>().of);
  const bool hasPlaces = kept != step.state().kept.end();
  if (pooling.method == PoolingMethod::max && !hasPlaces) return false;
  const Layout result = blockedLayout(in);
  const int64_t planes = channelView(result)->outer * channelView(result)->blocks;
  step.call({step.read(2, blockedLayout(out)), step.write(0, result), hasPlaces ? kept->second.place : Place{}},
            [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
              return [=, dy = static_cast<float*>(at[0]), dx = static_cast<float*>(at[1]),
                      where = static_cast<uint16_t*>(at[2])] {
                poolBlockedGradient(*pool, pooling, in, out, planes, dy, where, dx);
              };
            });
  step.describe("loops");
  return true;
}

bool addPooling(StepBuilder& step, const Pooling& pooling) {
  const Shape& out = step.outputShape(0);
  if (addPooledInt16Tiles(step, pooling)) return true;
  if (step.operation().outputs.size() > 1 && step.hasOutput(1)) return addMaskedPooling(step, pooling);
  if (isSampling(pooling, step.inputShape(0), out)) return addSampling(step, pooling);
  if (step.pool()) return addBlockedPooling(step, pooling);
  const auto problem = describe(pooling, step.inputShape(0), out);
  if (!problem) return false;
  const auto kind = step.isDifferentiated() ? dnnl::prop_kind::forward_training
                                            : dnnl::prop_kind::forward_inference;  // training keeps a workspace
  Layout source = pooledLayout(step, pooling);
  auto primitive = forward(*problem, kind, source, withType(anyLayout(out), source.data_type()), step.engine());
  if (!primitive) {
    source = plainLayout(step.inputShape(0));
    primitive = forward(*problem, kind, source, plainLayout(out), step.engine());
  }
  const Layout result = primitive.dst_desc();
  std::vector<Argument> arguments{{DNNL_ARG_SRC, step.read(0, source), source},
                                  {DNNL_ARG_DST, step.write(0, result), result},
                                  step.scratchOf(primitive)};
  if (step.isDifferentiated()) {
    PlanState::Kept kept{{}, source, result, primitive.workspace_desc()};
    if (kept.workspace.get_size() > 0) {
      kept.place = step.keep(kept.workspace);
      arguments.push_back({DNNL_ARG_WORKSPACE, kept.place, kept.workspace});
    }
    step.state().kept.emplace(step.index(), kept);
  }
  step.call(PoolingForward(primitive), std::move(arguments));
  step.describe(primitive.impl_info_str());
  return true;
}

// inputs: x, y, dy (x and y are not read); outputs: dx.
bool addPoolingGradient(StepBuilder& step, const Pooling& pooling) {
  if (step.differentiated().outputs.size() > 1 || !step.hasInput(2)) return false;
  if (isSampling(pooling, step.outputShape(0), step.inputShape(2))) return addSamplingGradient(step, pooling);
  if (step.pool()) return addBlockedPoolingGradient(step, pooling);
  const auto found = step.state().kept.find(step.operation().attributes.get<Gradient>().of);
  if (found == step.state().kept.end()) return false;
  const PlanState::Kept& kept = found->second;
  const auto problem = describe(pooling, kept.source.dims(), kept.result.dims());
  const auto hint = forward(*problem, dnnl::prop_kind::forward_training, kept.source, kept.result, step.engine());
  const PoolingBackward::desc desc(problem->algorithm, kept.source, kept.result, problem->strides, problem->kernel,
                                   problem->left, problem->right);
  const PoolingBackward::primitive_desc primitive(desc, attributes(), step.engine(), hint);
  std::vector<Argument> arguments{{DNNL_ARG_DIFF_DST, step.read(2, kept.result), kept.result},
                                  {DNNL_ARG_DIFF_SRC, step.write(0, kept.source), kept.source},
                                  step.scratchOf(primitive)};
  if (kept.workspace.get_size() > 0) arguments.push_back({DNNL_ARG_WORKSPACE, kept.place, kept.workspace});
  step.call(PoolingBackward(primitive), std::move(arguments));
  step.describe(primitive.impl_info_str());
  return true;
}

std::vector<size_t> unread(const Pooling& pooling, const GradientOf& of) {
  if (of.forward.outputs.size() > 1) return {};
  const Shape &in = of.shape(of.forward.inputs[0]), &out = of.shape(of.forward.outputs[0]);
  const bool hasPlaces = pooling.kernel.height * pooling.kernel.width < kMostPlaces;
  const bool readsOnlyDiffs = isSampling(pooling, in, out) || (hasPlaces && describe(pooling, in, out).has_value());
  return readsOnlyDiffs ? std::vector<size_t>{0, of.y()} : std::vector<size_t>{};
}

const Steps<Pooling> kPooling{addPooling, addPoolingGradient, unread};

}  // namespace
}  // namespace resnode::cpu
