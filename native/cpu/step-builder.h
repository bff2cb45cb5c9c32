// Makes one operation's step: asks for its tensors in the layouts that it wants, and adds the calls.
#pragma once

#include <string>

#include "native/cpu/plan.h"

namespace resnode::cpu {

// An argument of a oneDNN primitive.
struct Argument {
  int argument;  // DNNL_ARG_*
  Place place;
  Layout layout;
};

// Attributes of a primitive that takes its scratch memory from us.
dnnl::primitive_attr attributes(const dnnl::post_ops& operations = {});
// For results in 8 bits, which have no not-a-number. oneDNN's ReLU makes 0 of it, so that others take addReluOver().
void appendRelu(dnnl::post_ops& operations, const std::optional<FusedRelu>& relu);

class StepBuilder {
 public:
  StepBuilder(PlanState& state, int index) : state_(state), index_(index) {}

  const Program& program() const { return *state_.program; }
  const Operation& operation() const { return program().operations[index_]; }
  const dnnl::engine& engine() const { return state_.oneDnn->engine(); }
  bool winograd() const { return state_.winograd; }
  // Null where nothing is to be measured.
  ConvolutionChoice* choice() const { return state_.choice; }
  // Packed parameters of a plan for other shapes, which shall be shared. Null: there are none.
  const std::vector<Pack>* like() const { return state_.like; }
  // Null where the program computes on OpenMP's threads.
  ThreadPool* pool() const { return state_.pool; }
  // Null where there is no pool.
  const TileKernels* kernels() const { return state_.pool ? state_.kernels : nullptr; }
  PlanState& state() { return state_; }
  const PlanState& state() const { return state_; }
  int index() const { return index_; }
  bool hasInput(size_t i) const { return i < operation().inputs.size() && operation().inputs[i] >= 0; }
  bool hasOutput(size_t i) const { return i < operation().outputs.size() && operation().outputs[i] >= 0; }
  const Shape& inputShape(size_t i) const { return shape(operation().inputs[i]); }
  const Shape& outputShape(size_t i) const { return shape(operation().outputs[i]); }
  // As its maker left it; of int8 and bfloat16 the same in float32.
  Layout layout(size_t input) const { return inFloat32(state_.layouts[operation().inputs[input]]); }
  // Row-major in the same dimensions.
  const Layout& plain(size_t input) const { return state_.plainLayouts[operation().inputs[input]]; }
  // As its maker left it where loops over channels can run through that (layout.h), else the plain one.
  Layout channelwiseLayout(size_t input) const { return channelView(layout(input)) ? layout(input) : plain(input); }
  // What is differentiated by this gradient.
  const Operation& differentiated() const { return program().operations[operation().attributes.get<Gradient>().of]; }
  const Shape& shape(TensorId id) const { return program().tensors[id].shape; }
  bool isDifferentiated() const { return state_.gradientOf[index_] >= 0; }
  // One for all of a program, so that all its layouts go together: what is computed again is not differentiated itself.
  dnnl::prop_kind forwardKind() const {
    return state_.isTraining ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  }

  // An input in a layout, converted first where its maker left another one.
  // `plain`: row-major in the dimensions of `wanted`, where those are not the tensor's own.
  Place read(size_t input, const Layout& wanted, const Layout& plain);
  Place read(size_t input, const Layout& wanted) { return read(input, wanted, plain(input)); }
  Place readPlain(size_t input) { return read(input, plain(input)); }

  // An output in a buffer of its own.
  Place write(size_t output, const Layout& layout, const Layout& plain);
  Place write(size_t output, const Layout& layout) { return write(output, layout, plainOfOutput(output)); }
  Place writePlain(size_t output) { return write(output, plainOfOutput(output)); }
  // Whether nobody needs what lies at a place that was read, once this operation is over.
  bool dies(const Place& place) const;
  // Whether a sum may be computed in the buffer of its residual, the second input: nobody needs that afterwards.
  bool mayOverwriteResidual(const Place& residual) const {
    return operation().inputs[0] != operation().inputs[1] && dies(residual);
  }
  // An output in the same memory as what was read: in place, or the same values under another name.
  Place share(size_t output, const Place& place, const Layout& layout, const Layout& plain);
  Place share(size_t output, const Place& place, const Layout& layout) {
    return share(output, place, layout, plainOfOutput(output));
  }
  // Lets an input lie from the start within what this operation makes, where that is possible: in this layout, at so many bytes.
  bool layWithin(size_t input, const Layout& layout, const Place& whole, size_t at);
  // In place where that is allowed.
  Place writeOver(size_t output, const Place& place, const Layout& layout, const Layout& plain) {
    return dies(place) ? share(output, place, layout, plain) : write(output, layout, plain);
  }
  Place writeOver(size_t output, const Place& place, const Layout& layout) {
    return writeOver(output, place, layout, plainOfOutput(output));
  }

  // A parameter in a layout; `plain` is row-major in the same dimensions. A mutable one is kept in the layout of the
  // forward pass, `isForward`, where that is possible, and converted for whoever wants another one.
  Place parameter(ParameterId id, const Layout& plain, const Layout& wanted, bool isForward = false);
  // An immutable one, as the pack says.
  Place packedParameter(Pack pack);
  Place plainParameter(ParameterId id);
  // The layout in which a mutable parameter is kept, decided now if it was not.
  const Pack& master(ParameterId id, const Pack* wanted = nullptr);
  Place masterPlace(ParameterId id) const { return {Place::In::master, id}; }

  // Memory for this operation alone.
  Place temporary(const Layout& layout) { return temporary(layout.get_size()); }
  // The same memory for every call of the step.
  Place scratch(size_t bytes);
  // What a primitive of oneDNN takes as scratch memory.
  template <class Primitive>
  Argument scratchOf(const Primitive& primitive) {
    return {DNNL_ARG_SCRATCHPAD, scratch(primitive.scratchpad_desc().get_size()), primitive.scratchpad_desc()};
  }
  // Memory that lives from here to this operation's gradient.
  Place keep(const Layout& layout);

  void call(std::vector<Place> places, std::function<Work(const std::vector<void*>&)> bind) {
    step_.calls.push_back({std::move(places), std::move(bind)});
  }
  void call(const dnnl::primitive& primitive, std::vector<Argument> arguments);
  void reorder(const Place& from, const Layout& fromLayout, const Place& to, const Layout& toLayout, float factor = 1);
  // An output that was made, in another layout and a buffer of its own; what it was made in ends here.
  void convert(size_t output, const Layout& layout);

  void describe(std::string implementation) { implementation_ = std::move(implementation); }
  const std::string& implementation() const { return implementation_; }
  Step take() { return std::move(step_); }

 private:
  Layout plainOfOutput(size_t i) const { return plainLayout(outputShape(i)); }
  Place temporary(size_t bytes);
  // A tensor's values on their way from float32 to int8 or bfloat16, or back.
  void requantize(TensorId id, const Place& from, const Layout& has, const Place& to, const Layout& wanted);
  int addBuffer(size_t bytes, int from, int to, bool isPinned);

  PlanState& state_;
  int index_;
  Step step_;
  std::string implementation_ = "reference";
  struct Converted {
    size_t input;
    Layout layout;
    Place place;
  };
  std::vector<Converted> converted_;
  Place scratch_;
};

}  // namespace resnode::cpu
