// Gradients of pooling, BatchNorm and elementwise operations, on nhwc and on row-major tensors.
#include <algorithm>

#include "cuda/kernels/behind-relu.h"
#include "cuda/operations/batch-norm/batch-norm-gradient.h"
#include "cuda/operations/elementwise/elementwise-gradient.h"
#include "cuda/operations/eltwise/eltwise-gradient.h"
#include "cuda/operations/pooling/pooling-gradient.h"
#include "cuda/operations/prelu/prelu.h"
#include "cuda/operations/scale/affine-gradient.h"
#include "test/cuda/kernels/gradients.h"

namespace resnode::cuda {
namespace {

// Typed lists, because nvcc fails on bare ones in generic lambdas.
using Plains = std::vector<test::Plain>;
using Shapes = std::vector<Shape>;
using Values = std::vector<std::vector<float>>;
Shapes vectors(size_t count, int64_t length) { return Shapes(count, Shape(1, length)); }

// One set of values in both layouts: nhwc in T, and N×C×H×W in float32.
template <class T>
struct Form {
  using Element = T;
  ElementType type;
  Nhwc nhwc;
  bool isNhwc;

  Shape shape() const { return {nhwc.n, nhwc.c, nhwc.h, nhwc.w}; }
  ChannelShape channelShape() const {
    return isNhwc ? ChannelShape{nhwc.pixels(), {nhwc.c, nhwc.paddedChannels, 1}, type}
                  : ChannelShape{nhwc.n, {nhwc.c, nhwc.c, nhwc.h * nhwc.w}};
  }
  std::vector<float> random(unsigned seed, float low = -2, float high = 2) const {
    return floatsOf(test::randomMemory<T>(static_cast<size_t>(elementCount(shape())), seed, low, high));
  }
  test::Memory<T> place(const std::vector<float>& values) const {
    if (isNhwc) return test::nhwcOf<T>(values, nhwc);
    test::Memory<T> memory(values.size());
    std::transform(values.begin(), values.end(), memory.data(), fromFloat<T>);
    return memory;
  }
  test::Memory<T> result() const { return test::nanMemory<T>(static_cast<size_t>(channelShape().elements())); }
  // One rounding of a float32 result.
  void near(const test::Memory<T>& actual, const std::vector<float>& expected, double absolute,
            const std::string& what) const {
    const std::string where = what + ", " + test::describe(nhwc, type) + (isNhwc ? "" : " plain");
    if (isNhwc) test::nearNhwc(actual, nhwc, expected, test::relativeOf(type), absolute, where);
    else test::nearPlain(actual, expected, test::relativeOf(type), absolute, where);
  }
  // The additional error of a result of the order of one if y is read, which T has rounded.
  double ofRoundedY() const { return type == ElementType::float32 ? 0 : 4 * test::relativeOf(type); }
};

const std::vector<Nhwc>& narrowShapes() {
  static const std::vector<Nhwc> shapes{
      {2, 3, 5, 3, 4}, {2, 3, 5, 5, 8}, {2, 3, 5, 33, 40}, {3, 7, 7, 257, 264}, {1, 60, 70, 5, 8}};
  return shapes;
}

template <class Check>
void eachNarrowForm(Check check) {
  for (const Nhwc& nhwc : narrowShapes()) {
    if (test::isTested(ElementType::float16)) check(Form<__half>{ElementType::float16, nhwc, true});
    if (test::isTested(ElementType::bfloat16)) check(Form<__nv_bfloat16>{ElementType::bfloat16, nhwc, true});
  }
}

template <class Check>
void eachForm(Check check) {
  const ElementType type = ElementType::float32;
  for (const Nhwc& nhwc : test::oddShapes()) {
    for (bool isNhwc : {true, false}) check(Form<float>{type, nhwc, isNhwc});
  }
  check(Form<float>{type, {1, 60, 70, 5, 8}, true});  // many values per channel: split among blocks
  check(Form<float>{type, {9, 60, 70, 2, 4}, false});
  eachNarrowForm(check);
}

template <class T>
T* dataOf(test::Memory<T>& memory, bool wanted) {
  return wanted ? memory.data() : nullptr;
}

RESNODE_TEST(spatial_gradients, "MAX and AVE pooling: ties, overlapping windows, windows in the padding") {
  struct Windows {
    int64_t kernelH, kernelW, strideH, strideW, padH, padW;
  };
  for (const Windows& w : {Windows{3, 3, 2, 2, 0, 0},
                           {3, 3, 2, 2, 1, 1},
                           {2, 2, 2, 2, 0, 0},
                           {3, 2, 1, 3, 1, 0},
                           {1, 1, 2, 2, 0, 0},
                           {7, 7, 1, 1, 0, 0}}) {
    for (int64_t size : {1, 3, 7, 12}) {
      for (int64_t c : {1, 5, 8}) {
        const Nhwc in{2, size, size + 1, c, padChannels(c)};
        const auto pooled = [](int64_t n, int64_t kernel, int64_t stride, int64_t pad) {
          const int64_t out = (n + 2 * pad - kernel + stride - 1) / stride + 1;
          return pad > 0 && (out - 1) * stride >= n + pad ? out - 1 : out;
        };
        if (w.kernelH > in.h + 2 * w.padH || w.kernelW > in.w + 2 * w.padW) continue;
        Nhwc out = in;
        out.h = pooled(in.h, w.kernelH, w.strideH, w.padH);
        out.w = pooled(in.w, w.kernelW, w.strideW, w.padW);
        test::eachType([&](auto element, ElementType type) {
          using T = decltype(element);
          const PoolingShape shape{in, out, w.kernelH, w.kernelW, w.strideH, w.strideW, w.padH, w.padW};
          const Form<T> from{type, in, true}, to{type, out, true};
          std::vector<float> x = from.random(1, -3, 3);
          for (float& value : x) value = std::round(value);
          const std::vector<float> dy = to.random(2);
          const auto placedX = from.place(x), placedDy = to.place(dy);
          for (PoolingMethod method : {PoolingMethod::max, PoolingMethod::average}) {
            const Pooling pooling{method, {w.kernelH, w.kernelW}, {w.strideH, w.strideW}, {w.padH, w.padW}};
            const auto expected =
                test::referenceGradients(pooling, Plains{{from.shape(), x}}, Shapes{to.shape()}, Values{dy});
            auto dx = from.result();
            test::Memory<int> scratch(static_cast<size_t>(out.elements()));
            if (method == PoolingMethod::average) {
              launchAveragePoolingGradient(shape, type, placedDy.data(), dx.data(), nullptr);
              from.near(dx, expected.dx[0], 1e-5, "average");
              continue;
            }
            auto y = to.result();
            auto mask = test::nanMemory<float>(static_cast<size_t>(elementCount(to.shape())));
            test::Memory<uint8_t> places(static_cast<size_t>(out.elements()));
            launchMaxPooling(shape, type, placedX.data(), y.data(), {mask.data()}, nullptr);
            launchMaxPooling(shape, type, placedX.data(), y.data(), {nullptr, places.data()}, nullptr);
            for (const MaximaKnown& known :
                 {MaximaKnown{placedX.data()}, {nullptr, mask.data()}, {nullptr, nullptr, places.data()}}) {
              launchMaxPoolingGradient(shape, type, known, placedDy.data(), dx.data(), scratch.data(), nullptr);
              from.near(dx, expected.dx[0], 1e-5,
                        known.x      ? "maxima found again"
                        : known.mask ? "a mask"
                                     : "places in windows");
            }
          }
        });
      }
    }
  }
}

RESNODE_TEST(spatial_gradients, "BatchNorm with Scale and ReLU, over batch and global statistics, in place on dy") {
  eachForm([](const auto& form) {
    for (int options = 0; options < 8; ++options) {
      BatchNorm batchNorm;
      batchNorm.mean = 0;
      batchNorm.variance = 1;
      batchNorm.factor = 2;
      batchNorm.eps = 1e-2f;
      batchNorm.statistics = options & 1 ? Statistics::global : Statistics::batch;
      batchNorm.update = false;
      if (options & 2) batchNorm.scale = 3, batchNorm.bias = 4;
      if (options & 4) batchNorm.relu = FusedRelu{0.25f};
      const int64_t channels = form.nhwc.c;
      const auto size = static_cast<size_t>(channels);
      const auto each = [&](unsigned seed, float low, float high) {
        return floatsOf(test::randomMemory<float>(size, seed, low, high));
      };
      const std::vector<std::vector<float>> parameters{
          each(1, -1, 1), each(2, 3, 9), {3.0f}, each(3, -2, 2), each(4, -1, 1)};
      const std::vector<float> x = form.random(5, -1, 3), dy = form.random(6);
      const auto expected = test::referenceGradients(batchNorm, Plains{{form.shape(), x}},
                                                     Shapes{form.shape(), Shape{channels}, Shape{channels}}, Values{dy},
                                                     parameters, vectors(2, channels));
      const auto at = [&](const std::vector<float>& values) {
        test::Memory<float> memory(values.size());
        std::copy(values.begin(), values.end(), memory.data());
        return memory;
      };
      const auto placedX = form.place(x), placedY = form.place(expected.y[0]);
      auto diff = form.place(dy);
      const auto mean = at(options & 1 ? parameters[0] : expected.y[1]),
                 variance = at(options & 1 ? parameters[1] : expected.y[2]);
      const auto factor = at(parameters[2]), gamma = at(parameters[3]), beta = at(parameters[4]);
      auto dScale = test::nanMemory<float>(size), dBias = test::nanMemory<float>(size);
      BatchNormGradient of;
      of.behind = {diff.data(), options & 4 ? placedY.data() : nullptr, 0.25f};
      of.x = placedX.data();
      of.mean = mean.data();
      of.variance = variance.data();
      if (options & 1) of.factor = factor.data();
      if (options & 2) of.gamma = gamma.data(), of.beta = beta.data();
      of.eps = batchNorm.eps;
      of.dx = diff.data();
      of.dScale = dScale.data();
      of.dBias = dBias.data();
      auto scratch = test::scratchOf(batchNormGradientScratch(form.channelShape()));
      launchBatchNormGradient(of, form.channelShape(), scratch.data(), nullptr);
      const std::string what = "options " + std::to_string(options);
      // With one value per channel, subtracting the mean leaves only rounding errors.
      form.near(diff, expected.dx[0], 2e-4, what + " dx");
      test::nearPlain(dScale, expected.dw[0], 1e-4, 1e-3, what + " dScale");
      test::nearPlain(dBias, expected.dw[1], 1e-4, 1e-3, what + " dBias");
    }
  });
}

RESNODE_TEST(spatial_gradients, "Scale: each diff alone and all together") {
  eachForm([](const auto& form) {
    const auto size = static_cast<size_t>(form.nhwc.c);
    const std::vector<float> x = form.random(7), dy = form.random(8);
    const auto factors = test::randomMemory<float>(size, 9);
    Scale scale;
    scale.scale = 0;
    scale.bias = 1;
    scale.outer = form.nhwc.n;
    scale.channels = form.nhwc.c;
    scale.inner = form.nhwc.h * form.nhwc.w;
    const auto expected =
        test::referenceGradients(scale, Plains{{form.shape(), x}}, Shapes{form.shape()}, Values{dy},
                                 Values{test::floatsOf(factors), std::vector<float>(size)}, vectors(2, form.nhwc.c));
    const auto placedX = form.place(x), placedDy = form.place(dy);
    for (int wanted = 1; wanted < 8; ++wanted) {
      auto dx = form.result();
      auto dScale = test::nanMemory<float>(size), dBias = test::nanMemory<float>(size);
      auto scratch = test::scratchOf(channelSumsScratch(form.channelShape()));
      launchAffineGradient({{placedDy.data()},
                            wanted & 2 ? placedX.data() : nullptr,
                            factors.data(),
                            dataOf(dx, wanted & 1),
                            dataOf(dScale, wanted & 2),
                            dataOf(dBias, wanted & 4)},
                           form.channelShape(), scratch.data(), nullptr);
      const std::string what = "wanted " + std::to_string(wanted);
      if (wanted & 1) form.near(dx, expected.dx[0], 1e-6, what + " dx");
      if (wanted & 2) test::nearPlain(dScale, expected.dw[0], 1e-4, 1e-3, what + " dScale");
      if (wanted & 4) test::nearPlain(dBias, expected.dw[1], 1e-4, 1e-3, what + " dBias");
    }
  });
}

RESNODE_TEST(spatial_gradients, "ReLU, ELU, Sigmoid, TanH, AbsVal, Power: from what their gradients read") {
  struct Case {
    Elementwise unary;
    Attributes attributes;
    bool readsX, readsY;
  };
  const std::vector<Case> cases{{Relu{0.1f}, Relu{0.1f}, false, true},
                                {Relu{-0.1f}, Relu{-0.1f}, true, false},
                                {Elu{0.7f}, Elu{0.7f}, false, true},
                                {Elu{-0.7f}, Elu{-0.7f}, true, false},
                                {Sigmoid{}, Sigmoid{}, false, true},
                                {Tanh{}, Tanh{}, false, true},
                                {AbsVal{}, AbsVal{}, true, false},
                                {Power{3, 0.5f, 2.5f}, Power{3, 0.5f, 2.5f}, true, false},
                                {Power{1, -3, 2}, Power{1, -3, 2}, false, false},
                                {Power{0, 2, 1}, Power{0, 2, 1}, false, false}};
  eachForm([&](const auto& form) {
    for (const Case& each : cases) {
      std::vector<float> x = form.random(10);
      x[0] = 0;
      const std::vector<float> dy = form.random(11);
      const auto expected =
          test::referenceGradients(each.attributes, Plains{{form.shape(), x}}, Shapes{form.shape()}, Values{dy});
      const auto placedX = form.place(x), placedY = form.place(expected.y[0]);
      auto diff = form.place(dy);
      launchUnaryGradient(each.unary, each.readsX ? placedX.data() : nullptr, each.readsY ? placedY.data() : nullptr,
                          diff.data(), diff.data(), form.channelShape(), nullptr);
      form.near(diff, expected.dx[0], 1e-5 + form.ofRoundedY(),
                "kind " + std::to_string(static_cast<int>(each.unary.index())));
    }
  });
}

RESNODE_TEST(spatial_gradients, "PReLU, a slope a channel and one for all") {
  eachForm([](const auto& form) {
    for (bool shared : {false, true}) {
      const auto count = shared ? 1 : form.nhwc.c;
      const auto slope = test::randomMemory<float>(static_cast<size_t>(count), 12);
      const std::vector<float> x = form.random(13), dy = form.random(14);
      const auto expected = test::referenceGradients(PRelu{0, shared}, Plains{{form.shape(), x}}, Shapes{form.shape()},
                                                     Values{dy}, Values{floatsOf(slope)}, vectors(1, count));
      const auto placedX = form.place(x), placedDy = form.place(dy);
      auto dx = form.result();
      auto dSlope = test::nanMemory<float>(slope.size()),
           scratch = test::scratchOf(preluGradientScratch(form.channelShape(), shared));
      launchPReluGradient(placedX.data(), placedDy.data(), slope.data(), shared, dx.data(), dSlope.data(),
                          form.channelShape(), scratch.data(), nullptr);
      form.near(dx, expected.dx[0], 1e-6, "dx");
      test::nearPlain(dSlope, expected.dw[0], 1e-4, 1e-2, shared ? "one slope" : "slopes");
    }
  });
}

RESNODE_TEST(spatial_gradients, "diffs of several readers behind a ReLU, in place on any of them") {
  eachForm([](const auto& form) {
    const std::vector<float> y = form.random(40);
    const auto placedY = form.place(y);
    for (size_t count = 1; count <= kMostDiffs; ++count) {
      for (size_t over = 0; over < count; ++over) {
        std::vector<test::Plain> plain{{form.shape(), y}};
        std::vector<decltype(form.result())> placed;
        for (size_t k = 0; k < count; ++k) {
          plain.push_back({form.shape(), form.random(static_cast<unsigned>(41 + k))});
          placed.push_back(form.place(plain.back().values));
        }
        DiffSum sum;
        sum.y = placedY.data();
        sum.negativeSlope = 0.25f;
        for (const auto& each : placed) sum.diffs.push_back({each.data()});
        sum.output = placed[over].data();
        launchDiffSum(sum, form.channelShape(), nullptr, nullptr);
        form.near(placed[over], test::reference(SumBehindRelu{0.25f, {}, {}}, plain, form.shape()),
                  1e-6 + form.ofRoundedY(), std::to_string(count) + " diffs, over number " + std::to_string(over));
      }
    }
  });
}

// SumBehindRelu on row-major values: the sum, then both sums of each norm.
Values diffSumsOf(const SumBehindRelu& op, std::vector<test::Plain>& inputs, const Shape& shape) {
  Values made{std::vector<float>(static_cast<size_t>(elementCount(shape)))};
  const Shape channels{shape[1]};
  for (size_t i = 0; i < 2 * op.eps.size(); ++i) made.emplace_back(static_cast<size_t>(shape[1]));
  reference::Arguments arguments;
  for (test::Plain& input : inputs) arguments.inputs.push_back({input.values.data(), &input.shape});
  for (size_t i = 0; i < made.size(); ++i) arguments.outputs.push_back({made[i].data(), i == 0 ? &shape : &channels});
  test::runReference(op, arguments);
  return made;
}

RESNODE_TEST(spatial_gradients, "diffs at a stride, and BatchNorms' sums of what comes through the ReLU") {
  struct Case {
    Pair stride;
    size_t norms, count;
  };
  const std::vector<Case> cases{{{2, 2}, 2, 2}, {{2, 2}, 0, 3}, {{3, 2}, 1, 4}, {{1, 1}, 2, 1}, {{1, 1}, 1, 3}};
  eachForm([&](const auto& form) {
    const Nhwc& nhwc = form.nhwc;
    for (const auto& [stride, norms, count] : cases) {
      const Nhwc small{nhwc.n, (nhwc.h + stride.height - 1) / stride.height, (nhwc.w + stride.width - 1) / stride.width,
                       nhwc.c, nhwc.paddedChannels};
      const auto sampled = [&](unsigned seed) {
        auto of = form;
        of.nhwc = small;
        return std::pair(of, of.random(seed));
      };
      SumBehindRelu op{0.25f, stride, {}};
      std::vector<test::Plain> plain{{form.shape(), form.random(50)}};
      auto y = form.place(plain[0].values);
      DiffSum sum;
      sum.y = y.data();
      std::vector<uint8_t> signs(y.size() / 8 + 1);
      for (size_t i = 0; i < y.size(); ++i) signs[i / 8] |= (toFloat(y[i]) > 0 ? 1u : 0u) << (i % 8);
      sum.areSigns = form.isNhwc && nhwc.paddedChannels % 8 == 0 && norms != 1;
      if (sum.areSigns) sum.y = signs.data();
      sum.negativeSlope = 0.25f;
      sum.sampling = {nhwc.h, nhwc.w, stride.height, stride.width};
      std::vector<decltype(form.result())> placed;
      for (size_t k = 0; k < count; ++k) {
        const bool isSampled = k % 2 == 0;
        const auto [of, values] = sampled(static_cast<unsigned>(51 + k));
        plain.push_back(isSampled ? test::Plain{of.shape(), values}
                                  : test::Plain{form.shape(), form.random(static_cast<unsigned>(51 + k))});
        placed.push_back((isSampled ? of : form).place(plain.back().values));
        sum.diffs.push_back({placed.back().data(), isSampled});
      }
      std::vector<test::Memory<float>> statistics, sums;
      for (size_t k = 0; k < norms; ++k) {
        const auto seed = static_cast<unsigned>(60 + 3 * k);
        op.eps.push_back(1e-3f);
        plain.push_back({form.shape(), form.random(seed)});
        placed.push_back(form.place(plain.back().values));
        const void* x = placed.back().data();
        for (unsigned i : {1u, 2u}) {
          statistics.push_back(test::randomMemory<float>(static_cast<size_t>(nhwc.c), seed + i, 0.2f, 1.5f));
          sums.push_back(test::nanMemory<float>(static_cast<size_t>(nhwc.c)));
          plain.push_back({{nhwc.c}, floatsOf(statistics.back())});
        }
        NormSums norm{x};
        norm.eps = 1e-3f;
        sum.norms.push_back(norm);
      }
      for (size_t k = 0; k < norms; ++k) {
        sum.norms[k].mean = statistics[2 * k].data();
        sum.norms[k].variance = statistics[2 * k + 1].data();
        sum.norms[k].sum = sums[2 * k].data();
        sum.norms[k].product = sums[2 * k + 1].data();
      }
      auto output = form.result();
      sum.output = output.data();
      auto scratch = test::scratchOf(diffSumScratch(form.channelShape(), norms));
      launchDiffSum(sum, form.channelShape(), scratch.data(), nullptr);
      const Values expected = diffSumsOf(op, plain, form.shape());
      const std::string what = std::to_string(count) + " diffs, " + std::to_string(norms) + " norms";
      form.near(output, expected[0], 1e-6 + form.ofRoundedY(), what);
      // Each value is rounded to T before it is added.
      const double values = std::sqrt(static_cast<double>(nhwc.pixels()));
      const double absolute =
          1e-5 * values + 16 * values * (form.type == ElementType::float32 ? 0 : test::relativeOf(form.type));
      for (size_t i = 0; i < sums.size(); ++i)
        test::nearPlain(sums[i], expected[1 + i], 1e-4, absolute, what + ", sum " + std::to_string(i));
    }
  });
}

RESNODE_TEST(spatial_gradients, "Eltwise SUM, PROD and MAX with ReLU: ties as Caffe's") {
  const Nhwc nhwc{2, 3, 5, 5, 8};
  test::eachType([&](auto element, ElementType type) {
    using T = decltype(element);
    const Form<T> form{type, nhwc, true};
    for (EltwiseKind kind : {EltwiseKind::sum, EltwiseKind::prod, EltwiseKind::max}) {
      for (int count : {2, 3, 8}) {
        for (bool relu : {false, true}) {
          const bool isStable = !(relu && kind == EltwiseKind::prod);
          Eltwise eltwise;
          eltwise.operation = kind;
          eltwise.stableProdGrad = isStable;
          if (relu) eltwise.relu = FusedRelu{0.25f};
          std::vector<test::Plain> plain;
          std::vector<test::Memory<T>> inputs;
          std::vector<const void*> pointers;
          for (int k = 0; k < count; ++k) {
            eltwise.coefficients.push_back(0.5f - static_cast<float>(k));
            std::vector<float> values = form.random(static_cast<unsigned>(15 + k), -1.5f, 1.5f);
            if (kind == EltwiseKind::max)
              for (float& value : values) value = std::round(value);
            inputs.push_back(form.place(values));
            pointers.push_back(inputs.back().data());
            plain.push_back({form.shape(), values});
          }
          const std::vector<float> dy = form.random(30);
          const auto expected = test::referenceGradients(eltwise, plain, Shapes{form.shape()}, Values{dy});
          const auto diff = form.place(dy), y = form.place(expected.y[0]);
          const auto operation = kind == EltwiseKind::sum    ? EltwiseOperation::sum
                                 : kind == EltwiseKind::prod ? EltwiseOperation::prod
                                                             : EltwiseOperation::max;
          for (int k = 0; k < count; ++k) {
            auto dx = form.result();
            launchEltwiseGradient({operation, count, pointers.data(), eltwise.coefficients.data()}, k,
                                  {diff.data(), relu ? y.data() : nullptr, 0.25f}, isStable ? nullptr : y.data(),
                                  dx.data(), form.channelShape(), nullptr);
            form.near(dx, expected.dx[static_cast<size_t>(k)], 1e-6 + form.ofRoundedY(),
                      "input " + std::to_string(k) + " of " + std::to_string(count));
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace resnode::cuda
