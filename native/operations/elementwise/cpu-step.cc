// Elementwise functions, in the layout of their input, and in place if allowed.
#include "native/cpu/elementwise-loops.h"
#include "native/cpu/kind-steps.h"
#include "native/cpu/parallel.h"
#include "native/operations/elementwise/cpu-functions.h"

namespace resnode::cpu {
namespace {

bool addRelu(StepBuilder& step, const Relu& relu) {
  const Layout layout = step.layout(0);
  const Place x = step.read(0, layout);
  step.call({x, step.writeOver(0, x, layout, step.plain(0))},
            [pool = step.pool(), count = floatsIn(layout), relu](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                cpu::relu(pool, x, y, count, relu.negativeSlope);
              };
            });
  step.describe("loops");
  return true;
}

// inputs: x, y (one of them suffices), dy; outputs: dx. With a negative slope only x shows the sign.
bool addReluGradient(StepBuilder& step, const Relu& relu) {
  const size_t sign = step.hasInput(1) && relu.negativeSlope >= 0 ? 1 : 0;
  if (!step.hasInput(sign) || !step.hasInput(2)) return false;
  const Layout layout = step.layout(2), plain = step.plain(2);
  const Place dy = step.read(2, layout);
  step.call({step.read(sign, layout), dy, step.writeOver(0, dy, layout, plain)},
            [pool = step.pool(), count = floatsIn(layout), relu](const std::vector<void*>& at) -> Work {
              return
                  [=, y = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]),
                   dx = static_cast<float*>(at[2])] { reluGradient(pool, y, dy, dx, count, relu.negativeSlope, 1.f); };
            });
  step.describe("loops");
  return true;
}

std::vector<size_t> unreadByRelu(const Relu& relu, const GradientOf& of) {
  return relu.negativeSlope >= 0 && of.gradient.inputs[of.y()] >= 0 ? std::vector<size_t>{0} : std::vector<size_t>{};
}

// The spare values of a layout, which the next reader expects to be zero.
struct Spare {
  ChannelView view;
  void clear(float* y, ThreadPool* pool) const {
    const int64_t first = view.channels % view.lanes;
    if (view.blocks * view.lanes == view.channels) return;
    parallelFor(pool, view.outer, 1, [&](int64_t i) {
      float* block = y + ((i + 1) * view.blocks - 1) * view.inner * view.lanes;
      for (int64_t pixel = 0; pixel < view.inner; ++pixel)
        std::fill(block + pixel * view.lanes + first, block + (pixel + 1) * view.lanes, 0.f);
    });
  }
};

template <class Kind>
bool addFunction(StepBuilder& step, const Kind& function) {
  if (!hasValues(function)) return false;
  const bool keepsZeros = valueOf(function, 0.0) == 0;
  const Layout layout = keepsZeros ? step.layout(0) : step.channelwiseLayout(0);
  std::optional<Spare> spare;
  if (!keepsZeros && !isDense(layout)) spare = Spare{*channelView(layout)};
  const Place x = step.read(0, layout);
  step.call({x, step.writeOver(0, x, layout, step.plain(0))},
            [pool = step.pool(), count = floatsIn(layout), function, spare](const std::vector<void*>& at) -> Work {
              return [=, x = static_cast<float*>(at[0]), y = static_cast<float*>(at[1])] {
                inChunks(pool, count,
                         [&](int64_t begin, int64_t size) { valuesOf(function, x + begin, y + begin, size); });
                if (spare) spare->clear(y, pool);
              };
            });
  step.describe("loops");
  return true;
}

// inputs: x, y (one of them suffices, or none if the slope is constant), dy; outputs: dx.
template <class Kind>
bool addFunctionGradient(StepBuilder& step, const Kind& function) {
  if (!step.hasInput(2) || !hasValues(function)) return false;
  const bool hasX = step.hasInput(0) && Kind::kGradientReads != GradientReads::outputs;
  const size_t read = hasX ? 0 : step.hasInput(1) ? 1 : 2;
  const Layout layout = step.layout(2);
  const Place dy = step.read(2, layout);
  step.call({step.read(read, layout), dy, step.writeOver(0, dy, layout, step.plain(2))},
            [pool = step.pool(), count = floatsIn(layout), function, hasX](const std::vector<void*>& at) -> Work {
              return [=, read = static_cast<float*>(at[0]), dy = static_cast<float*>(at[1]),
                      dx = static_cast<float*>(at[2])] {
                inChunks(pool, count, [&](int64_t begin, int64_t size) {
                  diffsOf(function, dy + begin, read + begin, dx + begin, size, hasX);
                });
              };
            });
  step.describe("loops");
  return true;
}

const Steps<Relu> kRelu{addRelu, addReluGradient, unreadByRelu};
const Steps<Elu> kElu{addFunction<Elu>, addFunctionGradient<Elu>};
const Steps<Sigmoid> kSigmoid{addFunction<Sigmoid>, addFunctionGradient<Sigmoid>};
const Steps<Tanh> kTanh{addFunction<Tanh>, addFunctionGradient<Tanh>};
const Steps<AbsVal> kAbsVal{addFunction<AbsVal>, addFunctionGradient<AbsVal>};
const Steps<Power> kPower{addFunction<Power>, addFunctionGradient<Power>};
const Steps<Clip> kClip{addFunction<Clip>, addFunctionGradient<Clip>};
const Steps<Exp> kExp{addFunction<Exp>, addFunctionGradient<Exp>};
const Steps<Threshold> kThreshold{addFunction<Threshold>};
const Steps<Swish> kSwish{addFunction<Swish>};
const Steps<Mish> kMish{addFunction<Mish>};
const Steps<HardSwish> kHardSwish{addFunction<HardSwish>, addFunctionGradient<HardSwish>};

}  // namespace
}  // namespace resnode::cpu
