// Portable kinds (core/portable.h) on the host: loops in float64, and the mapping of an operation's tensors to their
// arguments.
#include <algorithm>

#include "native/reference/gradients.h"
#include "native/reference/portable-kinds.h"

namespace resnode::reference {
namespace {

class PortableLoops {
 public:
  PortableLoops(const std::string& layer, const Spread& spread) : layer_(layer), spread_(spread) {}

  template <class Function>
  void map(float* target, int64_t count, const Function& function) const {
    if (target) forEach(spread_, count, 1024, [&](int64_t i) { target[i] = function.template value<double>(i); });
  }
  // Copies runs of values that are adjacent, or equally far apart, at once.
  void map(float* target, int64_t count, const Gather& gather) const {
    if (!target || count == 0) return;
    const Walk& walk = gather.walk;
    int64_t length = 1, step = 1;
    for (int axis = walk.axes - 1; axis >= 0 && walk.stride[axis] == length; --axis) length *= walk.size[axis];
    if (length == 1 && walk.axes > 0) {
      length = walk.size[walk.axes - 1];
      step = walk.stride[walk.axes - 1];
    }
    forEach(spread_, count / length, std::max<int64_t>(1, 4096 / length), [&](int64_t run) {
      const float* from = gather.source + walk.at(run * length);
      float* to = target + run * length;
      if (step == 1) std::copy_n(from, length, to);
      else
        for (int64_t i = 0; i < length; ++i) to[i] = from[i * step];
    });
  }
  template <class Function>
  void sums(float* target, int64_t count, int64_t terms, const Function& function) const {
    if (!target) return;
    forEach(spread_, count, std::max<int64_t>(1, 4096 / std::max<int64_t>(terms, 1)), [&](int64_t i) {
      Totals all{0, 0};
      for (int64_t j = 0; j < terms; ++j) {
        const Totals term = function.template term<double>(i, j);
        all.a += term.a;
        all.b += term.b;
      }
      target[i] = function.template finish<double>(all, i);
    });
  }
  template <class Function>
  void each(int64_t count, const Function& function) const {
    forEach(spread_, count, 16, [&](int64_t i) { function.template item<double>(i); });
  }
  void check(const Labels& labels, int64_t count) const {
    for (int64_t i = 0; i < count; ++i) {
      if (!labels.isIgnored(i) && labels.classAt(i) < 0) checkedLabel(labels.values[i], labels.channels, layer_);
    }
  }

 private:
  const std::string& layer_;
  const Spread& spread_;
};

// The operation's parameters in the order of its fields; null: absent.
template <class T>
std::vector<float*> portableParameters(const T& op, const std::vector<float*>& parameters) {
  std::vector<float*> list;
  T::visitFields(op, [&](Field field, const auto& value) {
    using Value = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, ParameterId> || std::is_same_v<Value, std::optional<ParameterId>>) {
      const std::optional<ParameterId> id = value;
      if (field.role == Role::learned || field.role == Role::parameter) list.push_back(id ? parameters[*id] : nullptr);
    }
  });
  return list;
}

Shapes shapesOf(const std::vector<View>& views) {
  Shapes shapes;
  for (const View& view : views) shapes.push_back(*view.shape);
  return shapes;
}

template <class Pointer>
std::vector<Pointer> pointersOf(const std::vector<View>& views) {
  std::vector<Pointer> pointers;
  pointers.reserve(views.size());
  for (const View& view : views) pointers.push_back(view.data);
  return pointers;
}

// Sizes of the diffs of an operation's parameters, in order; 0: absent.
template <class T>
std::vector<int64_t> parameterSizes(const T& op, const Program& program) {
  std::vector<int64_t> sizes;
  T::visitFields(op, [&](Field field, const auto& value) {
    using Value = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, ParameterId> || std::is_same_v<Value, std::optional<ParameterId>>) {
      const std::optional<ParameterId> id = value;
      if (field.role == Role::learned) sizes.push_back(id ? elementCount(program.parameters[*id].shape) : 0);
    }
  });
  return sizes;
}

template <class T>
void portableForward(const T& op, const Arguments& arguments) {
  Forward at;
  at.xShape = shapesOf(arguments.inputs);
  at.yShape = shapesOf(arguments.outputs);
  at.x = pointersOf<const float*>(arguments.inputs);
  at.y = pointersOf<float*>(arguments.outputs);
  at.w = portableParameters(op, arguments.parameters);
  std::vector<float> scratch(scratchFloats(op, at.xShape));
  at.scratch = scratch.data();
  PortableLoops loops(arguments.operation->layer, arguments.spread);
  forward(op, at, loops);
}

template <class T>
void portableBackward(const T& op, const GradientArguments& arguments) {
  const auto isThere = [](const View& view) { return view.data != nullptr; };
  PortableLoops loops(arguments.layer, arguments.spread);
  if (std::none_of(arguments.dy.begin(), arguments.dy.end(), isThere)) {
    const std::vector<int64_t> sizes = parameterSizes(op, arguments.program);
    for (const View& dx : arguments.dx) loops.map(dx.data, elementCount(*dx.shape), Fill{0});
    for (size_t i = 0; i < arguments.dw.size(); ++i) loops.map(arguments.dw[i].data, sizes[i], Fill{0});
    return;
  }
  Backward at;
  at.xShape = shapesOf(arguments.x);
  at.yShape = shapesOf(arguments.y);
  at.x = pointersOf<const float*>(arguments.x);
  at.y = pointersOf<const float*>(arguments.y);
  at.dy = pointersOf<const float*>(arguments.dy);
  at.dx = pointersOf<float*>(arguments.dx);
  at.dw = pointersOf<float*>(arguments.dw);
  at.w = portableParameters(op, arguments.parameters);
  std::vector<float> scratch(scratchFloats(op, at.xShape));
  at.scratch = scratch.data();
  backward(op, at, loops);
}

const bool kPortableKindsAreRegistered = [] {
  Portable::forEachType([](const auto& kind) {
    using Kind = std::decay_t<decltype(kind)>;
    if constexpr (Kind::kGradientReads == GradientReads::noGradient) Loops<Kind>{portableForward<Kind>};
    else Loops<Kind>{portableForward<Kind>, portableBackward<Kind>};
  });
  return true;
}();

}  // namespace
}  // namespace resnode::reference
