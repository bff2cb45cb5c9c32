// A function of the process computes on copies in main memory, so the step waits for the stream twice. Such a program
// is launched step by step, because a graph could not call the function (CudaPlan::callsHost).
#include "cuda/gradient-step.h"
#include "cuda/nccl/communicator.h"
#include "native/core/host-functions.h"

namespace resnode::cuda {
namespace {

size_t countOf(TensorId id, const StepContext& context) {
  return static_cast<size_t>(elementCount(context.layouts[id].shape));
}

// The copies in one direction.
class Copies {
 public:
  void add(void* place, size_t count) {
    places_.push_back(place);
    values_.emplace_back(place ? count : 0);
    counts_.push_back(count);
  }
  std::vector<HostValues> values() {
    std::vector<HostValues> list;
    list.reserve(values_.size());
    for (size_t i = 0; i < values_.size(); ++i) list.push_back({places_[i] ? values_[i].data() : nullptr, counts_[i]});
    return list;
  }
  // `processes`: those for which the stream may wait; null: none.
  void copy(cudaMemcpyKind direction, NcclCommunicator* processes, cudaStream_t stream) {
    // A copy of memory that is not pinned waits for the stream, which may contain a mean that never completes.
    if (processes) {
      Event reached;
      reached.record(stream);
      processes->await(reached);
    }
    for (size_t i = 0; i < values_.size(); ++i) {
      if (!places_[i]) continue;
      const bool isUp = direction == cudaMemcpyHostToDevice;
      RESNODE_CUDA(cudaMemcpyAsync(isUp ? places_[i] : values_[i].data(), isUp ? values_[i].data() : places_[i],
                                   counts_[i] * sizeof(float), direction, stream));
    }
    RESNODE_CUDA(cudaStreamSynchronize(stream));
  }

 private:
  std::vector<void*> places_;
  std::vector<std::vector<float>> values_;
  std::vector<size_t> counts_;
};

// The functions of a program, and the processes for which its stream may wait; either may be null.
struct Host {
  std::shared_ptr<HostFunctions> functions;
  std::shared_ptr<NcclCommunicator> processes;
};
Host hostOf(const StepContext& context) { return {context.program.functions, context.processes}; }

void run(const Host& host, HostCall call, Copies& reads, Copies& writes, cudaStream_t stream) {
  if (!host.functions) throw Error("program/invalid", "there are no functions of its own", call.layer);
  reads.copy(cudaMemcpyDeviceToHost, host.processes.get(), stream);
  call.reads = reads.values();
  call.writes = writes.values();
  host.functions->run(call);
  writes.copy(cudaMemcpyHostToDevice, host.processes.get(), stream);
}

void* mutablePlace(const void* place) { return const_cast<void*>(place); }

Step forward(const HostFunction& function, const Operation& operation, const StepContext& context) {
  Step step = plainStep(operation, "host");
  std::vector<size_t> read, made;
  for (TensorId id : operation.inputs) read.push_back(countOf(id, context));
  for (TensorId id : operation.outputs) made.push_back(countOf(id, context));
  step.launch = [read, made, host = hostOf(context), index = function.index, layer = operation.layer](
                    const Bindings& b, cudaStream_t stream) {
    Copies reads, writes;
    for (size_t i = 0; i < read.size(); ++i) reads.add(mutablePlace(b.inputs[i]), read[i]);
    for (size_t i = 0; i < made.size(); ++i) writes.add(b.floatsOut(i), made[i]);
    run(host, {index, false, {}, {}, layer}, reads, writes, stream);
  };
  return step;
}

Step backward(const HostFunction& function, const GradientContext& gradient) {
  Step step = gradient.plain("host");
  std::vector<size_t> read, made;
  for (TensorId id : gradient.forward.inputs) read.push_back(countOf(id, gradient.context));
  for (TensorId id : gradient.forward.outputs) made.push_back(countOf(id, gradient.context));
  step.launch = [read, made, from = gradient.at, host = hostOf(gradient.context), index = function.index,
                 layer = gradient.forward.layer](const Bindings& b, cudaStream_t stream) {
    Copies reads, writes;
    for (size_t i = 0; i < read.size(); ++i) reads.add(mutablePlace(from.x(b, i)), read[i]);
    for (size_t i = 0; i < made.size(); ++i) reads.add(mutablePlace(from.y(b, i)), made[i]);
    for (size_t i = 0; i < made.size(); ++i) reads.add(mutablePlace(from.dy(b, i)), made[i]);
    for (size_t i = 0; i < read.size(); ++i) writes.add(b.floatsOut(i), read[i]);
    run(host, {index, true, {}, {}, layer}, reads, writes, stream);
  };
  return step;
}

const Steps<HostFunction> kHostFunction{forward, backward};

}  // namespace
}  // namespace resnode::cuda
