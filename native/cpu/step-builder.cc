#include "native/cpu/step-builder.h"

#include <algorithm>

#include "native/core/error.h"
#include "native/cpu/bfloat16-copy.h"
#include "native/cpu/blocked-copy.h"
#include "native/cpu/float-copy.h"
#include "native/cpu/int8-copy.h"

namespace resnode::cpu {

dnnl::primitive_attr attributes(const dnnl::post_ops& operations) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(operations);
  return attr;
}

int StepBuilder::addBuffer(size_t bytes, int from, int to, bool isPinned) {
  state_.description.buffers.push_back({bytes, from, to});
  state_.isPinned.push_back(isPinned);
  return static_cast<int>(state_.description.buffers.size()) - 1;
}

int StepBuilder::onlyReader() const {
  const TensorId made = operation().outputs[0];
  if (std::find(program().outputs.begin(), program().outputs.end(), made) != program().outputs.end()) return -1;
  const int last = state_.lifetimes[made].to;
  int64_t reads = 0;
  for (int i = index_ + 1; i <= last; ++i) {
    const std::vector<TensorId>& inputs = program().operations[i].inputs;
    reads += std::count(inputs.begin(), inputs.end(), made);
  }
  return reads == 1 && program().operations[last].inputs[0] == made ? last : -1;
}

Place StepBuilder::temporary(size_t bytes) { return {Place::In::buffer, addBuffer(bytes, index_, index_, false)}; }

Place StepBuilder::scratch(size_t bytes) {
  if (bytes == 0) return {};
  if (scratch_.index < 0) scratch_ = temporary(bytes);
  size_t& size = state_.description.buffers[scratch_.index].bytes;
  size = std::max(size, bytes);
  return scratch_;
}

Place StepBuilder::keep(const Layout& layout) {
  const int last = std::max(index_, state_.gradientOf[index_]);
  return {Place::In::buffer, addBuffer(layout.get_size(), index_, last, false)};
}

Place StepBuilder::read(size_t input, const Layout& wanted, const Layout& plain) {
  const TensorId id = operation().inputs[input];
  const Place place{Place::In::buffer, state_.description.tensorBuffers[id]};
  const Layout& made = state_.layouts[id];
  const Layout has = made == state_.plainLayouts[id] ? plain : made;
  if (has == wanted) return place;
  for (const Converted& each : converted_) {
    if (operation().inputs[each.input] == id && each.layout == wanted) return each.place;
  }
  const Place target = temporary(wanted);
  requantize(id, place, has, target, wanted);
  converted_.push_back({input, wanted, target});
  return target;
}

Place StepBuilder::write(size_t output, const Layout& layout, const Layout& plain) {
  const TensorId id = operation().outputs[output];
  const Lifetime& lifetime = state_.lifetimes[id];
  const auto& outputs = program().outputs;
  const bool isOutput = std::find(outputs.begin(), outputs.end(), id) != outputs.end();
  state_.layouts[id] = layout;
  state_.plainLayouts[id] = plain;
  const int buffer = addBuffer(layout.get_size(), lifetime.from, lifetime.to, isOutput);
  state_.description.tensorBuffers[id] = buffer;
  return {Place::In::buffer, buffer};
}

bool StepBuilder::dies(const Place& place) const {
  return place.in == Place::In::buffer && !state_.isPinned[place.index] &&
         state_.description.buffers[place.index].to == index_;
}

Place StepBuilder::share(size_t output, const Place& place, const Layout& layout, const Layout& plain) {
  const TensorId id = operation().outputs[output];
  const auto& outputs = program().outputs;
  state_.layouts[id] = layout;
  state_.plainLayouts[id] = plain;
  state_.description.tensorBuffers[id] = place.index;
  int& to = state_.description.buffers[place.index].to;
  to = std::max(to, state_.lifetimes[id].to);
  if (std::find(outputs.begin(), outputs.end(), id) != outputs.end()) state_.isPinned[place.index] = true;
  return place;
}

bool StepBuilder::layWithin(size_t input, const Layout& layout, const Place& whole, size_t at) {
  const TensorId id = operation().inputs[input];
  const int index = state_.description.tensorBuffers[id];
  PlannedBuffer& buffer = state_.description.buffers[index];
  const bool isElsewhere = state_.isPinned[index] || buffer.within >= 0 || index == whole.index;
  // Which feature maps are quantized depends on the shared buffers, and must not depend on the batch.
  const bool isInt8 = !state_.quantization.tensors.empty();
  if (isElsewhere || state_.isTraining || isInt8 || !(state_.layouts[id] == layout) ||
      buffer.bytes != layout.get_size() || at % kHostAlignment != 0)
    return false;
  buffer.within = whole.index;
  buffer.at = at;
  // From here on it contains a part of the whole, and the whole must live as long as others read it.
  state_.isPinned[index] = true;
  if (buffer.to > index_) state_.isPinned[whole.index] = true;
  return true;
}

const Pack& StepBuilder::master(ParameterId id, const Pack* wanted) {
  std::optional<Pack>& master = state_.masters[id];
  if (!master) {
    const Layout plain = plainLayout(program().parameters[id].shape);
    master = wanted ? *wanted : Pack{id, plain, plain};
    state_.description.parameterBytes += master->layout.get_size();
  }
  return *master;
}

Place StepBuilder::parameter(ParameterId id, const Layout& plain, const Layout& wanted, bool isForward) {
  if (!program().parameters[id].isMutable) return packedParameter({id, plain, wanted});
  const Pack pack{id, plain, wanted};
  const Pack& kept = master(id, isForward && !state_.isShared[id] && isDense(wanted) ? &pack : nullptr);
  const Layout& has = kept.layout == kept.plain ? plain : kept.layout;
  if (has == wanted) return masterPlace(id);
  const Place target = temporary(wanted);
  reorder(masterPlace(id), has, target, wanted);
  return target;
}

Place StepBuilder::packedParameter(Pack pack) {
  for (size_t i = 0; i < state_.packs.size(); ++i) {
    if (state_.packs[i].isSameAs(pack)) return {Place::In::packed, static_cast<int>(i)};
  }
  state_.description.parameterBytes += pack.layout.get_size();
  state_.packs.push_back(std::move(pack));
  return {Place::In::packed, static_cast<int>(state_.packs.size()) - 1};
}

Place StepBuilder::plainParameter(ParameterId id) {
  const Layout plain = plainLayout(program().parameters[id].shape);
  if (!program().parameters[id].isMutable) return parameter(id, plain, plain);
  const Pack& kept = master(id);
  return parameter(id, kept.plain, kept.plain);
}

void StepBuilder::call(const dnnl::primitive& primitive, std::vector<Argument> arguments) {
  std::vector<Place> places;
  places.reserve(arguments.size());
  for (const Argument& each : arguments) places.push_back(each.place);
  call(std::move(places),
       [primitive, arguments = std::move(arguments),
        oneDnn = state_.oneDnn](const std::vector<void*>& addresses) -> Work {
         std::unordered_map<int, dnnl::memory> memories;
         for (size_t i = 0; i < arguments.size(); ++i) {
           memories.emplace(arguments[i].argument, dnnl::memory(arguments[i].layout, oneDnn->engine(), addresses[i]));
         }
         return [primitive, memories = std::move(memories), stream = oneDnn->stream()]() mutable {
           primitive.execute(stream, memories);
           stream.wait();
         };
       });
}

void StepBuilder::convert(size_t output, const Layout& layout) {
  const TensorId id = operation().outputs[output];
  const Place made{Place::In::buffer, state_.description.tensorBuffers[id]};
  const Layout has = state_.layouts[id];
  state_.description.buffers[made.index].to = index_;
  requantize(id, made, has, write(output, layout), layout);
}

void StepBuilder::requantize(TensorId id, const Place& from, const Layout& has, const Place& to, const Layout& wanted) {
  const float factor = cpu::factor(state_.quantized[id], has, wanted);
  const auto copy = Int8Copy::describe(has, wanted, factor);
  if (copy && pool()) {
    return call({from, to},
                [copy = *copy, pool = pool(), tensor = program().tensors[id].name,
                 layer = operation().layer](const std::vector<void*>& at) -> Work {
                  return [=, from = at[0], to = at[1]] {
                    if (!copy.run(*pool, from, to)) throwNotFinite(tensor, layer);
                  };
                });
  }
  const auto rounded = Bfloat16Copy::describe(has, wanted);
  if (rounded && pool()) {
    return call({from, to}, [copy = *rounded, pool = pool()](const std::vector<void*>& at) -> Work {
      return [=, from = at[0], to = at[1]] { copy.run(*pool, from, to); };
    });
  }
  if (!isInt8(has) && isInt8(wanted)) {
    const auto count = static_cast<int64_t>(has.get_size() / sizeof(float));
    call({from},
         [count, pool = pool(), tensor = program().tensors[id].name,
          layer = operation().layer](const std::vector<void*>& at) -> Work {
           return
               [=, values = static_cast<const float*>(at[0])] { refuseNotFinite(pool, values, count, tensor, layer); };
         });
  }
  reorder(from, has, to, wanted, factor);
}

void StepBuilder::reorder(const Place& from, const Layout& fromLayout, const Place& to, const Layout& toLayout,
                          float factor) {
  const auto copy = BlockedCopy::describe(fromLayout, toLayout);
  if (copy && pool() && factor == 1) {
    return call({from, to}, [copy = *copy, pool = pool()](const std::vector<void*>& at) -> Work {
      return [=, from = static_cast<float*>(at[0]), to = static_cast<float*>(at[1])] { copy.run(*pool, from, to); };
    });
  }
  const auto values = FloatCopy::describe(fromLayout, toLayout);
  if (values && pool() && factor == 1) {
    return call({from, to}, [copy = *values, pool = pool()](const std::vector<void*>& at) -> Work {
      return [=, from = static_cast<float*>(at[0]), to = static_cast<float*>(at[1])] { copy.run(*pool, from, to); };
    });
  }
  dnnl::primitive_attr attr = attributes();
  if (factor != 1) attr.set_output_scales(0, {factor});
  const dnnl::reorder::primitive_desc primitive(engine(), fromLayout, engine(), toLayout, attr);
  call(dnnl::reorder(primitive),
       {{DNNL_ARG_FROM, from, fromLayout},
        {DNNL_ARG_TO, to, toLayout},
        {DNNL_ARG_SCRATCHPAD, scratch(primitive.scratchpad_desc().get_size()), primitive.scratchpad_desc()}});
}

}  // namespace resnode::cpu
