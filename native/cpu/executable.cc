#include "native/cpu/executable.h"

#include "native/core/host-buffer.h"
#include "native/cpu/bfloat16-copy.h"
#include "native/cpu/blocked-copy.h"
#include "native/cpu/float-copy.h"
#include "native/cpu/parallel.h"

namespace resnode::cpu {
namespace {

constexpr int64_t kCopied = int64_t{1} << 15;  // values that a thread copies at a time

}  // namespace

CpuExecutable::CpuExecutable(std::shared_ptr<CpuPlan> plan, std::shared_ptr<CpuParameters> parameters,
                             std::shared_ptr<OneDnn> oneDnn)
    : plan_(std::move(plan)),
      parameters_(std::move(parameters)),
      oneDnn_(std::move(oneDnn)),
      arena_(allocate(arenaBytes(), "the activations of \"" + plan_->program().name + "\"")) {
  for (const PlannedBuffer& buffer : plan_->description().buffers) buffers_.push_back(arena_.get() + buffer.offset);
  for (const Step& step : plan_->steps()) {
    std::vector<Work> works;
    for (const Call& call : step.calls) {
      std::vector<void*> addresses;
      for (const Place& place : call.places) addresses.push_back(address(place));
      works.push_back(call.bind(addresses));
    }
    steps_.push_back(std::move(works));
  }
  parameters_->endPacking();
  for (TensorId id : plan_->program().outputs) deliveries_.push_back(delivery(id));
}

CpuExecutable::Delivery CpuExecutable::delivery(TensorId id) const {
  const Layout &has = plan_->layout(id), &plain = plan_->plain(id);
  const void* from = data(id);
  if (has == plain) return [from, bytes = plain.get_size()](void* to) { std::memcpy(to, from, bytes); };
  const auto widened = Bfloat16Copy::describe(has, plain);
  if (widened && plan_->pool())
    return [copy = *widened, pool = plan_->pool(), from](void* to) { copy.run(*pool, from, to); };
  const auto copy = BlockedCopy::describe(has, plain);
  if (copy && plan_->pool()) {
    return [copy = *copy, pool = plan_->pool(), from](void* to) {
      copy.run(*pool, static_cast<const float*>(from), static_cast<float*>(to));
    };
  }
  const auto values = FloatCopy::describe(has, plain);
  if (values && plan_->pool()) {
    return [copy = *values, pool = plan_->pool(), from](void* to) {
      copy.run(*pool, static_cast<const float*>(from), static_cast<float*>(to));
    };
  }
  dnnl::memory source(has, oneDnn_->engine(), data(id)), target(plain, oneDnn_->engine(), nullptr);
  return [source, target, reorder = dnnl::reorder(source, target), stream = oneDnn_->stream()](void* to) mutable {
    target.set_data_handle(to);
    reorder.execute(stream, source, target);
    stream.wait();
  };
}

void* CpuExecutable::address(const Place& place) const {
  switch (place.in) {
    case Place::In::buffer: return buffers_[place.index];
    case Place::In::master: return parameters_->master(*plan_->masters()[place.index]);
    case Place::In::packed: return parameters_->packed(plan_->packs()[place.index]);
    default: return nullptr;
  }
}

// The caller will now write to this memory, which takes about as long as threads need to wake up.
float* CpuExecutable::inputPlace(size_t i) {
  if (plan_->pool()) plan_->pool()->expectJob();
  return inputValues(i);
}

std::unique_ptr<StartedRun> CpuExecutable::start(const RunRequest& request) {
  const Program& program = plan_->program();
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const TensorId id = program.inputs[i];
    const RunInput& input = request.inputs[i];
    const Shape& shape = program.tensors[id].shape;
    const void* from = hostData(input);
    float* to = inputValues(i);
    if (from == to) continue;
    const int64_t count = elementCount(shape);
    // By all threads, which are then awake when the first operation starts.
    parallelFor(plan_->pool(), (count + kCopied - 1) / kCopied, 1, [&](int64_t part) {
      const int64_t first = part * kCopied;
      copyInput(input, from, shape, first, std::min(kCopied, count - first), to + first);
    });
  }
  for (const std::vector<Work>& step : steps_) {
    throwIfCancelled(request);
    const Stopwatch watch;
    for (const Work& work : step) work();
    if (request.milliseconds) request.milliseconds->push_back(watch.milliseconds());
  }
  for (size_t i = 0; i < deliveries_.size(); ++i) deliveries_[i](hostData(request.outputs[i]));
  if (plan_->pool()) plan_->pool()->makeWay();
  return nullptr;
}

}  // namespace resnode::cpu
