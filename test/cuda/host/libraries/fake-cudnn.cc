// A libcudnn.so.9 for tests. It is strict about descriptors, as cuDNN's documentation defines them (types, counts,
// required attributes, the order of finalising), and computes an operation graph at once by naive loops on host memory.
// It proposes engine 1 twice (A and B, knob 2 = 5), engine 2 (A: tensor cores, not deterministic) and engine 0
// (fallback).
//   RESNODE_FAKE_CUDNN_REFUSES: if set, no handle can be created
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/cudnn/api.h"
#include "cuda/types.h"

namespace {

using namespace resnode::cuda;
using namespace resnode::cuda::cudnn;

std::string lastError;

struct Descriptor;
struct Value {
  cudnnBackendAttributeType_t type;
  std::vector<char> bytes;
  template <class T>
  std::vector<T> as() const {
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
    return values;
  }
};
struct Descriptor {
  cudnnBackendDescriptorType_t type;
  bool final = false;
  std::map<int, Value> values;

  template <class T>
  T one(int name) const {
    return values.at(name).as<T>().at(0);
  }
  template <class T>
  std::vector<T> all(int name) const {
    return values.at(name).as<T>();
  }
  const Descriptor& at(int name) const { return *one<Descriptor*>(name); }
  template <class T>
  void put(int name, cudnnBackendAttributeType_t valueType, std::vector<T> list) {
    std::vector<char> bytes(list.size() * sizeof(T));
    std::memcpy(bytes.data(), list.data(), bytes.size());
    values[name] = {valueType, bytes};
  }
};

void demand(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

size_t sizeOf(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR: return 1;
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE: return 8;
    default: return 4;
  }
}

struct Rule {
  cudnnBackendDescriptorType_t descriptor;
  cudnnBackendAttributeName_t name;
  cudnnBackendAttributeType_t type;
  int64_t most;
  bool required;
};
const Rule kRules[] = {
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 8, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 8, true},
    {CUDNN_BACKEND_TENSOR_DESCRIPTOR, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, false},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, true},
    {CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, true},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, true},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, true},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_FLOAT, 1, false},
    {CUDNN_BACKEND_POINTWISE_DESCRIPTOR, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_FLOAT, 1, false},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
     CUDNN_TYPE_FLOAT, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
     CUDNN_TYPE_FLOAT, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_TYPE_FLOAT, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
     CUDNN_TYPE_FLOAT, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_TYPE_FLOAT, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
     CUDNN_TYPE_FLOAT, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR,
     1, true},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR,
     1, false},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR,
     1, false},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_DYDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR,
     1, false},
    {CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR,
     1, false},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MATH_PREC,
     CUDNN_TYPE_DATA_TYPE, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR, CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, 1,
     true},
    {CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1,
     true},
    {CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR,
     1, true},
    {CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR,
     1, true},
    {CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, true},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, true},
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 100, true},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
     true},
    {CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, true},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, true},
    {CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
     true},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, 100, true},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 100, true},
    {CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, true},
};
constexpr int kGraphOfEngine = 1300;  // CUDNN_ATTR_ENGINE_OPERATION_GRAPH

// Including destroyed ones, because others may still refer to them, as in cuDNN. Freed with the library.
std::vector<std::unique_ptr<Descriptor>> all;

Descriptor* make(cudnnBackendDescriptorType_t type) {
  all.emplace_back(new Descriptor{type, false, {}});
  return all.back().get();
}

Descriptor* proposal(const Descriptor* graph, int64_t engine, std::vector<cudnnBackendNumericalNote_t> notes,
                     bool knob) {
  Descriptor* e = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  e->put(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, std::vector<int64_t>{engine});
  e->put(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, std::move(notes));
  e->put(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE, std::vector<cudnnBackendBehaviorNote_t>{});
  e->put(kGraphOfEngine, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector<const Descriptor*>{graph});
  e->final = true;
  Descriptor* config = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  config->put(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector<Descriptor*>{e});
  std::vector<Descriptor*> knobs;
  if (knob) {
    Descriptor* k = make(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    k->put(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, std::vector<int>{2});
    k->put(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, std::vector<int64_t>{5});
    k->final = true;
    knobs.push_back(k);
  }
  config->put(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, knobs);
  config->final = true;
  return config;
}

void finalise(Descriptor& d) {
  for (const Rule& rule : kRules) {
    if (rule.descriptor == d.type)
      demand(!rule.required || d.values.count(rule.name), std::string("it lacks ") + nameOf(rule.name));
  }
  if (d.type == CUDNN_BACKEND_TENSOR_DESCRIPTOR) {
    const auto sizes = d.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS),
               strides = d.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    demand(sizes.size() == 4 && strides.size() == 4 && *std::min_element(sizes.begin(), sizes.end()) > 0,
           "four dimensions and strides");
  }
  if (d.type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) {
    const Descriptor* graph = d.one<Descriptor*>(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    std::vector<Descriptor*> list;
    switch (d.one<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE)) {
      case CUDNN_HEUR_MODE_A:
        list = {proposal(graph, 1, {}, true),
                proposal(graph, 2, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC}, false)};
        break;
      case CUDNN_HEUR_MODE_B: list = {proposal(graph, 1, {}, true)}; break;
      case CUDNN_HEUR_MODE_FALLBACK: list = {proposal(graph, 0, {}, false)}; break;
    }
    d.put(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, list);
  }
  if (d.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
    d.put(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, std::vector<int64_t>{64});
  }
  if (d.type == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
    const auto ids = d.all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    demand(ids.size() == d.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).size(), "as many ids as pointers");
    demand(std::set<int64_t>(ids.begin(), ids.end()).size() == ids.size(), "ids are unique");
  }
  d.final = true;
}

// A tensor of a run: its elements' positions, in memory or, if it is virtual, in floats that belong to the run.
struct Tensor {
  std::vector<int64_t> sizes, strides;
  cudnnDataType_t type = CUDNN_DATA_FLOAT;
  void* memory = nullptr;
  std::vector<float> own;

  int64_t place(int64_t n, int64_t c, int64_t h, int64_t w) const {
    return n * strides[0] + c * strides[1] + h * strides[2] + w * strides[3];
  }
  float get(int64_t n, int64_t c, int64_t h, int64_t w) const {
    const int64_t at = place(n, c, h, w);
    switch (type) {
      case CUDNN_DATA_HALF: return toFloat(static_cast<const __half*>(memory)[at]);
      case CUDNN_DATA_BFLOAT16: return toFloat(static_cast<const __nv_bfloat16*>(memory)[at]);
      case CUDNN_DATA_INT8: return toFloat(static_cast<const int8_t*>(memory)[at]);
      default: return static_cast<const float*>(memory)[at];
    }
  }
  void put(float value, int64_t n, int64_t c, int64_t h, int64_t w) {
    const int64_t at = place(n, c, h, w);
    switch (type) {
      case CUDNN_DATA_HALF: static_cast<__half*>(memory)[at] = fromFloat<__half>(value); break;
      case CUDNN_DATA_BFLOAT16: static_cast<__nv_bfloat16*>(memory)[at] = fromFloat<__nv_bfloat16>(value); break;
      case CUDNN_DATA_INT8: static_cast<int8_t*>(memory)[at] = fromFloat<int8_t>(value); break;
      default: static_cast<float*>(memory)[at] = value;
    }
  }
  template <class Function>
  void fill(Function value) {
    for (int64_t n = 0; n < sizes[0]; ++n)
      for (int64_t c = 0; c < sizes[1]; ++c)
        for (int64_t h = 0; h < sizes[2]; ++h)
          for (int64_t w = 0; w < sizes[3]; ++w) put(value(n, c, h, w), n, c, h, w);
  }
};

// A convolution's tensors, and which elements are multiplied.
struct Products {
  Products(const Descriptor& operation, cudnnBackendAttributeName_t settingsName, Tensor& x, Tensor& w, Tensor& y)
      : x(x), w(w), y(y) {
    const Descriptor& settings = operation.at(settingsName);
    demand(settings.one<int>(CUDNN_ATTR_CONVOLUTION_CONV_MODE) == CUDNN_CROSS_CORRELATION, "cross-correlation");
    pad = settings.all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    stride = settings.all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    dilation = settings.all<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
    depth = w.sizes[1];
    groups = x.sizes[1] / depth;
    demand(x.sizes[1] % depth == 0 && w.sizes[0] % groups == 0 && w.sizes[0] == y.sizes[1],
           "channels divide into groups");
  }

  // visit(c, r, s, channel, h, w) for every product of output (k, p, q).
  template <class Visit>
  void eachOfOutput(int64_t k, int64_t p, int64_t q, Visit visit) const {
    for (int64_t c = 0; c < depth; ++c) {
      for (int64_t r = 0; r < w.sizes[2]; ++r) {
        for (int64_t s = 0; s < w.sizes[3]; ++s) {
          const int64_t h = p * stride[0] - pad[0] + r * dilation[0], v = q * stride[1] - pad[1] + s * dilation[1];
          if (h < 0 || h >= x.sizes[2] || v < 0 || v >= x.sizes[3]) continue;
          visit(c, r, s, k / (w.sizes[0] / groups) * depth + c, h, v);
        }
      }
    }
  }

  Tensor &x, &w, &y;
  std::vector<int64_t> pad, stride, dilation;
  int64_t depth = 0, groups = 1;
};

class Run {
 public:
  explicit Run(const Descriptor& pack) {
    const auto ids = pack.all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const auto pointers = pack.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    for (size_t i = 0; i < ids.size(); ++i) pointers_[ids[i]] = pointers[i];
  }

  void convolve(const Descriptor& operation) {
    const Products of(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                      tensor(operation.at(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X)),
                      tensor(operation.at(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W)),
                      tensor(operation.at(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y)));
    of.y.fill([&](int64_t n, int64_t k, int64_t p, int64_t q) {
      float sum = 0;
      of.eachOfOutput(k, p, q, [&](int64_t c, int64_t r, int64_t s, int64_t channel, int64_t h, int64_t v) {
        sum += of.x.get(n, channel, h, v) * of.w.get(k, c, r, s);
      });
      return sum;
    });
  }

  // Every product of the forward pass contributes to the diff of one of its factors.
  void convolveBackward(const Descriptor& operation) {
    const bool isData = operation.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
    const auto at = [&](cudnnBackendAttributeName_t data, cudnnBackendAttributeName_t filter) -> Tensor& {
      return tensor(operation.at(isData ? data : filter));
    };
    const Products of(operation,
                      isData ? CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC
                             : CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                      at(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X),
                      at(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW),
                      at(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY));
    Tensor& made = isData ? of.x : of.w;
    std::map<int64_t, float> sums;  // by position
    const auto add = [&](float value, int64_t a, int64_t b, int64_t c, int64_t d) {
      sums[made.place(a, b, c, d)] += value;
    };
    for (int64_t n = 0; n < of.y.sizes[0]; ++n)
      for (int64_t k = 0; k < of.y.sizes[1]; ++k)
        for (int64_t p = 0; p < of.y.sizes[2]; ++p)
          for (int64_t q = 0; q < of.y.sizes[3]; ++q)
            of.eachOfOutput(k, p, q, [&](int64_t c, int64_t r, int64_t s, int64_t channel, int64_t h, int64_t v) {
              const float dy = of.y.get(n, k, p, q);
              if (isData) add(dy * of.w.get(k, c, r, s), n, channel, h, v);
              else add(dy * of.x.get(n, channel, h, v), k, c, r, s);
            });
    made.fill([&](int64_t a, int64_t b, int64_t c, int64_t d) { return sums[made.place(a, b, c, d)]; });
  }

  void pointwise(const Descriptor& operation) {
    const Descriptor& settings = operation.at(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    const int mode = settings.one<int>(CUDNN_ATTR_POINTWISE_MODE);
    if (mode == CUDNN_POINTWISE_RELU_BWD) return reluBackward(operation);
    const bool isRelu = mode == CUDNN_POINTWISE_RELU_FWD;
    demand(isRelu == (operation.values.count(CUDNN_ATTR_OPERATION_POINTWISE_BDESC) == 0),
           "two operands are added, subtracted or multiplied, one is clipped");
    const auto given = [&](cudnnBackendAttributeName_t name, float otherwise) {
      return settings.values.count(name) ? settings.one<float>(name) : otherwise;
    };
    const float slope = given(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0),
                most = given(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, INFINITY);
    const Tensor& x = tensor(operation.at(CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
    Tensor& y = tensor(operation.at(CUDNN_ATTR_OPERATION_POINTWISE_YDESC));
    if (isRelu) {
      y.fill([&](int64_t n, int64_t c, int64_t h, int64_t w) {
        const float value = x.get(n, c, h, w);
        return value < 0 ? value * slope : std::min(value, most);
      });
      return;
    }
    const Tensor& b = tensor(operation.at(CUDNN_ATTR_OPERATION_POINTWISE_BDESC));  // a size of 1 is broadcast
    const auto at = [&](int axis, int64_t i) { return b.sizes[axis] == 1 ? 0 : i; };
    y.fill([&](int64_t n, int64_t c, int64_t h, int64_t w) {
      const float left = x.get(n, c, h, w), right = b.get(at(0, n), at(1, c), at(2, h), at(3, w));
      return mode == CUDNN_POINTWISE_MUL ? left * right : mode == CUDNN_POINTWISE_SUB ? left - right : left + right;
    });
  }

  void reluBackward(const Descriptor& operation) {
    const Tensor &dy = tensor(operation.at(CUDNN_ATTR_OPERATION_POINTWISE_DYDESC)),
                 &x = tensor(operation.at(CUDNN_ATTR_OPERATION_POINTWISE_XDESC));
    Tensor& dx = tensor(operation.at(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC));
    dx.fill([&](int64_t n, int64_t c, int64_t h, int64_t w) { return x.get(n, c, h, w) > 0 ? dy.get(n, c, h, w) : 0; });
  }

  // dScale = Σ dy · x̂ and dBias = Σ dy, and the factors of dx = a · dy + b · x + c.
  void normWeights(const Descriptor& operation) {
    const auto at = [&](cudnnBackendAttributeName_t name) -> Tensor& { return tensor(operation.at(name)); };
    const Tensor &x = at(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_X_DESC),
                 &dy = at(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DY_DESC),
                 &means = at(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_MEAN_DESC),
                 &inverses = at(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_INVSTD_DESC),
                 &scales = at(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_BN_SCALE_DESC);
    const cudnnBackendAttributeName_t made[] = {
        CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC,
        CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC,
        CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS};
    const std::vector<int64_t> aChannel{1, x.sizes[1], 1, 1};
    demand(x.sizes == dy.sizes && means.sizes == aChannel && inverses.sizes == aChannel && scales.sizes == aChannel,
           "maps of one shape, numbers a channel");
    const double count = static_cast<double>(x.sizes[0] * x.sizes[2] * x.sizes[3]);
    for (int64_t c = 0; c < x.sizes[1]; ++c) {
      const double mean = means.get(0, c, 0, 0), inverse = inverses.get(0, c, 0, 0), scale = scales.get(0, c, 0, 0);
      double sum = 0, product = 0;
      for (int64_t n = 0; n < x.sizes[0]; ++n)
        for (int64_t h = 0; h < x.sizes[2]; ++h)
          for (int64_t w = 0; w < x.sizes[3]; ++w) {
            sum += dy.get(n, c, h, w);
            product += dy.get(n, c, h, w) * (x.get(n, c, h, w) - mean) * inverse;
          }
      const double ofInput = -scale * inverse * inverse * product / count;
      const double values[] = {product, sum, scale * inverse, ofInput, -scale * inverse * sum / count - ofInput * mean};
      for (size_t i = 0; i < std::size(made); ++i) {
        Tensor& target = at(made[i]);
        demand(target.sizes == aChannel, "a number a channel");
        target.put(static_cast<float>(values[i]), 0, c, 0, 0);
      }
    }
  }

  void sumUp(const Descriptor& operation) {
    const Tensor& x = tensor(operation.at(CUDNN_ATTR_OPERATION_GENSTATS_XDESC));
    Tensor &sums = tensor(operation.at(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC)),
           &squares = tensor(operation.at(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC));
    demand(sums.sizes == std::vector<int64_t>{1, x.sizes[1], 1, 1} && squares.sizes == sums.sizes, "a sum a channel");
    const auto sumOf = [&](int64_t channel, bool areSquares) {
      float sum = 0;
      for (int64_t n = 0; n < x.sizes[0]; ++n)
        for (int64_t h = 0; h < x.sizes[2]; ++h)
          for (int64_t w = 0; w < x.sizes[3]; ++w) {
            const float value = x.get(n, channel, h, w);
            sum += areSquares ? value * value : value;
          }
      return sum;
    };
    sums.fill([&](int64_t, int64_t c, int64_t, int64_t) { return sumOf(c, false); });
    squares.fill([&](int64_t, int64_t c, int64_t, int64_t) { return sumOf(c, true); });
  }

 private:
  Tensor& tensor(const Descriptor& descriptor) {
    const int64_t id = descriptor.one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
    const auto [it, isNew] = tensors_.emplace(id, Tensor{});
    Tensor& tensor = it->second;
    if (!isNew) return tensor;
    tensor.sizes = descriptor.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
    tensor.strides = descriptor.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    tensor.type = descriptor.one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE);
    if (descriptor.values.count(CUDNN_ATTR_TENSOR_IS_VIRTUAL) && descriptor.one<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL)) {
      // Integers below 2²⁴ here, which floats represent exactly.
      demand(tensor.type == CUDNN_DATA_FLOAT || tensor.type == CUDNN_DATA_INT32, "intermediates are float32 or int32");
      tensor.own.assign(static_cast<size_t>(tensor.place(tensor.sizes[0] - 1, tensor.sizes[1] - 1, tensor.sizes[2] - 1,
                                                         tensor.sizes[3] - 1)) +
                            1,
                        NAN);
      tensor.memory = tensor.own.data();
      return tensor;
    }
    tensor.memory = pointers_.count(id) ? pointers_.at(id) : nullptr;
    demand(tensor.memory != nullptr, "tensor " + std::to_string(id) + " has memory");
    demand(reinterpret_cast<uintptr_t>(tensor.memory) % descriptor.one<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT) == 0,
           "memory is aligned as promised");
    return tensor;
  }

  std::map<int64_t, void*> pointers_;
  std::map<int64_t, Tensor> tensors_;
};

template <class Function>
cudnnStatus_t call(Function function) {
  try {
    function();
    return CUDNN_STATUS_SUCCESS;
  } catch (const std::exception& error) {
    lastError = error.what();
    return static_cast<cudnnStatus_t>(2000);  // CUDNN_STATUS_BAD_PARAM
  }
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// Its version is in another file (host.cmake).
EXPORT size_t cudnnGetCudartVersion() { return 13000; }
EXPORT const char* cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_SUCCESS ? "CUDNN_STATUS_SUCCESS" : "CUDNN_STATUS_BAD_PARAM";
}
EXPORT void cudnnGetLastErrorString(char* text, size_t size) { std::snprintf(text, size, "%s", lastError.c_str()); }
EXPORT cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (std::getenv("RESNODE_FAKE_CUDNN_REFUSES")) {
    lastError = "the GPU is too old";
    return static_cast<cudnnStatus_t>(2000);
  }
  *handle = reinterpret_cast<cudnnHandle_t>(new int(1));
  return CUDNN_STATUS_SUCCESS;
}
EXPORT cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUDNN_STATUS_SUCCESS;
}
EXPORT cudnnStatus_t cudnnSetStream(cudnnHandle_t, cudaStream_t) { return CUDNN_STATUS_SUCCESS; }
EXPORT cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                                  cudnnBackendDescriptor_t* descriptor) {
  *descriptor = make(type);
  return CUDNN_STATUS_SUCCESS;
}
EXPORT cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t) { return CUDNN_STATUS_SUCCESS; }
EXPORT cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  return call([&] {
    Descriptor& d = *static_cast<Descriptor*>(descriptor);
    demand(!d.final, "finalised once");
    finalise(d);
  });
}
EXPORT cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                              cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  return call([&] {
    Descriptor& d = *static_cast<Descriptor*>(descriptor);
    demand(!d.final, "attributes are set before finalising");
    const Rule* rule = std::find_if(std::begin(kRules), std::end(kRules),
                                    [&](const Rule& r) { return r.descriptor == d.type && r.name == name; });
    demand(rule != std::end(kRules), "this descriptor has no such attribute");
    demand(rule->type == type, "type " + std::to_string(rule->type) + ", not " + std::to_string(type));
    demand(count >= 1 && count <= rule->most && values,
           "1 to " + std::to_string(rule->most) + " values, not " + std::to_string(count));
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
      for (int64_t i = 0; i < count; ++i)
        demand(static_cast<Descriptor* const*>(values)[i]->final, "descriptors are finalised before they are used");
    }
    const char* bytes = static_cast<const char*>(values);
    d.values[name] = {type, std::vector<char>(bytes, bytes + count * static_cast<int64_t>(sizeOf(type)))};
  });
}
EXPORT cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                              cudnnBackendAttributeType_t type, int64_t requested, int64_t* count,
                                              void* values) {
  return call([&] {
    const Descriptor& d = *static_cast<Descriptor*>(descriptor);
    demand(d.final, "attributes are read after finalising");
    demand(d.values.count(name) == 1 && d.values.at(name).type == type, "there is such an attribute of this type");
    const Value& value = d.values.at(name);
    const int64_t available = static_cast<int64_t>(value.bytes.size() / sizeOf(type));
    *count = name == CUDNN_ATTR_ENGINECFG_KNOB_CHOICES && requested == 0
                 ? 0
                 : available;  // as in cuDNN 9.24: knobs are not counted
    const int64_t given = std::min(available, requested);
    if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR) {
      if (given > 0) std::memcpy(values, value.bytes.data(), static_cast<size_t>(given) * sizeOf(type));
      return;
    }
    for (int64_t i = 0; i < given; ++i) {  // copies to the caller's descriptors
      Descriptor& target = *static_cast<Descriptor**>(values)[i];
      const Descriptor& source = *value.as<Descriptor*>()[static_cast<size_t>(i)];
      demand(target.type == source.type && !target.final, "descriptors of the right type to fill");
      target = source;
    }
  });
}
EXPORT cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                         cudnnBackendDescriptor_t pack) {
  return call([&] {
    const Descriptor &p = *static_cast<Descriptor*>(plan), &v = *static_cast<Descriptor*>(pack);
    demand(handle && p.final && v.final && p.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR &&
               v.type == CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR,
           "a plan and a pack");
    demand(v.one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE), "a workspace");
    std::memset(v.one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE), 0xee, 64);
    const Descriptor& graph =
        p.at(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).at(CUDNN_ATTR_ENGINECFG_ENGINE).at(kGraphOfEngine);
    Run run(v);
    for (const Descriptor* operation : graph.all<Descriptor*>(CUDNN_ATTR_OPERATIONGRAPH_OPS)) {
      if (operation->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR) run.pointwise(*operation);
      else if (operation->type == CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR) run.sumUp(*operation);
      else if (operation->type == CUDNN_BACKEND_OPERATION_BN_BWD_WEIGHTS_DESCRIPTOR) run.normWeights(*operation);
      else if (operation->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR) run.convolve(*operation);
      else run.convolveBackward(*operation);
    }
  });
}
