// Builds the step of one operation: requests its tensors in the layouts that it needs, and adds the calls.
#pragma once

#include <algorithm>
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

class StepBuilder {
 public:
  StepBuilder(PlanState& state, int index) : state_(state), index_(index) {}

  const Program& program() const { return *state_.program; }
  const Operation& operation() const { return program().operations[index_]; }
  const dnnl::engine& engine() const { return state_.oneDnn->engine(); }
  bool winograd() const { return state_.winograd; }
  // Null if nothing is to be measured.
  ConvolutionChoice* choice() const { return state_.choice; }
  // Packed parameters of a plan for other shapes, to be shared. Null: there are none.
  const std::vector<Pack>* like() const { return state_.like; }
  // Null if the program computes on OpenMP's threads.
  ThreadPool* pool() const { return state_.pool; }
  // Null if there is no pool.
  const TileKernels* kernels() const { return state_.pool ? state_.kernels : nullptr; }
  PlanState& state() { return state_; }
  const PlanState& state() const { return state_; }
  int index() const { return index_; }
  bool hasInput(size_t i) const { return i < operation().inputs.size() && operation().inputs[i] >= 0; }
  bool hasOutput(size_t i) const { return i < operation().outputs.size() && operation().outputs[i] >= 0; }
  const Shape& inputShape(size_t i) const { return shape(operation().inputs[i]); }
  const Shape& outputShape(size_t i) const { return shape(operation().outputs[i]); }
  // The operation that is the only reader of the first output, as its first input; −1 if there are others or none, or if
  // it is an output of the program.
  int onlyReader() const;
  // Keeps an input until a later operation, which reads it in this one's place.
  void lengthen(size_t input, int until) {
    int& to = state_.description.buffers[state_.description.tensorBuffers[operation().inputs[input]]].to;
    to = std::max(to, until);
  }
  // The layout in which the tensor was written; for int8 and bfloat16, the same layout in float32.
  Layout layout(size_t input) const { return inFloat32(state_.layouts[operation().inputs[input]]); }
  // Row-major with the same dimensions.
  const Layout& plain(size_t input) const { return state_.plainLayouts[operation().inputs[input]]; }
  // The layout in which it was written if loops over channels support it (layout.h), else row-major.
  Layout channelwiseLayout(size_t input) const { return channelView(layout(input)) ? layout(input) : plain(input); }
  // The operation that this gradient differentiates.
  const Operation& differentiated() const { return program().operations[operation().attributes.get<Gradient>().of]; }
  const Shape& shape(TensorId id) const { return program().tensors[id].shape; }
  bool isDifferentiated() const { return state_.gradientOf[index_] >= 0; }
  // One kind for the whole program, so that all layouts match. (A recomputed operation is not itself differentiated.)
  dnnl::prop_kind forwardKind() const {
    return state_.isTraining ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  }

  // An input in a layout, converted if it was written in another one. `plain`: row-major with the dimensions of
  // `wanted`, if these are not the tensor's own.
  Place read(size_t input, const Layout& wanted, const Layout& plain);
  Place read(size_t input, const Layout& wanted) { return read(input, wanted, plain(input)); }
  Place readPlain(size_t input) { return read(input, plain(input)); }

  // An output with a buffer of its own.
  Place write(size_t output, const Layout& layout, const Layout& plain);
  Place write(size_t output, const Layout& layout) { return write(output, layout, plainOfOutput(output)); }
  Place writePlain(size_t output) { return write(output, plainOfOutput(output)); }
  // Whether the memory that was read is not needed after this operation.
  bool dies(const Place& place) const;
  // Whether a sum may be computed in the buffer of its residual, the second input, because that is not needed
  // afterwards.
  bool mayOverwriteResidual(const Place& residual) const {
    return operation().inputs[0] != operation().inputs[1] && dies(residual);
  }
  // An output in the memory of an input: in place, or the same values under another name.
  Place share(size_t output, const Place& place, const Layout& layout, const Layout& plain);
  Place share(size_t output, const Place& place, const Layout& layout) {
    return share(output, place, layout, plainOfOutput(output));
  }
  // Places an input inside this operation's result from the start, if possible: in this layout, at this offset in
  // bytes.
  bool layWithin(size_t input, const Layout& layout, const Place& whole, size_t at);
  // In place if allowed.
  Place writeOver(size_t output, const Place& place, const Layout& layout, const Layout& plain) {
    return dies(place) ? share(output, place, layout, plain) : write(output, layout, plain);
  }
  Place writeOver(size_t output, const Place& place, const Layout& layout) {
    return writeOver(output, place, layout, plainOfOutput(output));
  }

  // A parameter in a layout; `plain` is row-major with the same dimensions. A mutable one is kept in the layout of the
  // forward pass (`isForward`) if possible, and converted for operations that need another layout.
  Place parameter(ParameterId id, const Layout& plain, const Layout& wanted, bool isForward = false);
  // An immutable parameter, packed as `pack` says.
  Place packedParameter(Pack pack);
  Place plainParameter(ParameterId id);
  // The layout in which a mutable parameter is kept. It is decided now if it was not before.
  const Pack& master(ParameterId id, const Pack* wanted = nullptr);
  Place masterPlace(ParameterId id) const { return {Place::In::master, id}; }

  // Memory for this operation only.
  Place temporary(const Layout& layout) { return temporary(layout.get_size()); }
  // The same memory for every call of the step.
  Place scratch(size_t bytes);
  // The scratch memory that a oneDNN primitive needs.
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
  // Converts an output to another layout in a buffer of its own. The buffer in which it was written ends here.
  void convert(size_t output, const Layout& layout);

  void describe(std::string implementation) { implementation_ = std::move(implementation); }
  const std::string& implementation() const { return implementation_; }
  Step take() { return std::move(step_); }

 private:
  Layout plainOfOutput(size_t i) const { return plainLayout(outputShape(i)); }
  Place temporary(size_t bytes);
  // Converts a tensor's values from float32 to int8 or bfloat16, or back.
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
