#include "cuda/executable.h"

#include <cstring>

#include "cuda/kernels/convert.h"
#include "cuda/nccl/communicator.h"

namespace resnode::cuda {
namespace {

// An error with where it happened.
Error at(const Error& error, const std::string& place, const std::string& layer) {
  return Error(error.code(), place + ": " + error.what(), layer);
}

size_t floatBytes(const Program& program, TensorId id) {
  return elementCount(program.tensors[id].shape) * sizeof(float);
}

}  // namespace

// One that was started and is not completed.
class CudaExecutable::Run final : public StartedRun {
 public:
  Run(std::shared_ptr<CudaExecutable> executable, const RunRequest& request, int slot)
      : executable_(std::move(executable)), request_(request), slot_(slot) {}
  ~Run() override { executable_->slots_[slot_]->busy = false; }
  bool finished() override {
    const auto& processes = executable_->plan_->processes();
    return executable_->slots_[slot_]->finished.isDone() || (processes && processes->hasFailed());
  }
  void complete() override { executable_->deliver(request_, slot_); }

 private:
  std::shared_ptr<CudaExecutable> executable_;
  const RunRequest& request_;
  int slot_;
};

CudaExecutable::CudaExecutable(std::shared_ptr<Transfer> transfer, std::shared_ptr<CudaPlan> plan,
                               std::shared_ptr<CudaParameters> parameters)
    : transfer_(std::move(transfer)),
      device_(transfer_->device()),
      plan_(std::move(plan)),
      parameters_(std::move(parameters)),
      arena_(allocateOnDevice(device_, plan_->description().arena.bytes,
                              "the activations of \"" + plan_->program().name + "\"")) {
  parameters_->require(plan_->parameters());
  if (plan_->processes()) plan_->processes()->open();
  for (const PlannedBuffer& buffer : plan_->description().buffers) buffers_.push_back(arena_.get() + buffer.offset);
  for (const PlannedStep& planned : plan_->steps()) bind(planned);
  const Program& program = plan_->program();
  const auto place = [&](size_t bytes) {
    const size_t offset = pinnedBytes_;
    pinnedBytes_ += aligned(bytes);
    return offset;
  };
  for (TensorId id : program.inputs) pinnedInputs_.push_back(place(floatBytes(program, id)));
  for (TensorId id : program.outputs) pinnedOutputs_.push_back(place(floatBytes(program, id)));
  pinnedLabels_ = place(plan_->labelChecks() * sizeof(int));
}

void CudaExecutable::bind(const PlannedStep& planned) {
  const size_t index = steps_.size();
  BoundStep bound;
  const auto dataOf = [&](TensorId id) { return id < 0 || plan_->bufferOf(id) < 0 ? nullptr : data(id); };
  for (TensorId id : planned.inputs) bound.bindings.inputs.push_back(dataOf(id));
  for (const Conversion& conversion : planned.conversions) {
    const TensorLayout from = plan_->layout(planned.inputs[conversion.index]);
    const ElementType type = plan_->elementType();
    const void* source = bound.bindings.inputs[conversion.index];
    char* target = buffer(conversion.buffer);
    bound.before.emplace_back([=](const Bindings&, cudaStream_t stream) {
      if (from.isNhwc) launchNhwcToNchw(from.type, source, from.nhwc, reinterpret_cast<float*>(target), stream);
      else launchNchwToNhwc(SourceType::float32, source, type, target, nhwcLayout(from.shape, type).nhwc, stream);
    });
    bound.bindings.inputs[conversion.index] = target;
  }
  for (TensorId id : planned.outputs) bound.bindings.outputs.push_back(dataOf(id));
  for (const PackedParameter& parameter : planned.step.parameters)
    bound.bindings.parameters.push_back(parameters_->get(parameter));
  if (planned.workspace >= 0) bound.bindings.workspace = buffer(planned.workspace);
  if (planned.labelCheck >= 0) {
    bound.bindings.badLabel = reinterpret_cast<int*>(buffer(plan_->labelBuffer())) + planned.labelCheck;
    labelChecks_.emplace_back(planned.step.labelClasses, static_cast<int>(index));
  }
  if (planned.step.updates && plan_->labelBuffer() >= 0) {
    bound.bindings.badLabel = reinterpret_cast<int*>(buffer(plan_->labelBuffer()));
    bound.bindings.labelChecks = plan_->labelChecks();
  }
  steps_.push_back(std::move(bound));
}

std::unique_ptr<StartedRun> CudaExecutable::start(const RunRequest& request) {
  device_->use();
  NcclCommunicator* processes = plan_->processes().get();
  try {
    throwIfCancelled(request);
    if (processes) processes->check();
    const int slot = freeSlot();
    auto run = std::make_unique<Run>(shared_from_this(), request, slot);
    slots_[slot]->busy = true;
    upload(request, slot);
    enqueue(request, slot);
    download(request, slot);
    slots_[slot]->finished.record(device_->compute());
    return run;
  } catch (const std::exception& error) {
    if (processes) processes->leave(error.what());  // what was begun may wait for it
    device_->settle();                              // and may still read and write the slot
    throw;
  }
}

int CudaExecutable::freeSlot() {
  for (size_t i = 0; i < kSlots; ++i) {
    if (!slots_[i]) {
      slots_[i] = std::make_unique<Slot>(device_, pinnedBytes_);
      heldPinnedBytes_ += pinnedBytes_;
    }
    if (!slots_[i]->busy) return static_cast<int>(i);
  }
  throw Error("device/failed", "More runs were started than there are slots");
}

// Arrays travel on the upload stream, beside what the compute stream does. A buffer may be what an earlier run writes, so
// it is copied in the compute stream's order.
void CudaExecutable::upload(const RunRequest& request, int index) {
  Slot& slot = *slots_[index];
  bool travels = false;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    const RunInput& input = request.inputs[i];
    const size_t count = elementCount(plan_->program().tensors[plan_->program().inputs[i]].shape);
    const size_t bytes = input.type == DataType::uint8 ? count : count * sizeof(float);
    char* target = buffer(plan_->staging()[index][i]);
    if (input.buffer) {
      const char* source = static_cast<const CudaBuffer&>(*input.buffer).data();
      RESNODE_CUDA(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, device_->compute()));
      continue;
    }
    char* pinned = slot.pinned.get() + pinnedInputs_[i];
    std::memcpy(pinned, input.data, bytes);
    RESNODE_CUDA(cudaMemcpyAsync(target, pinned, bytes, cudaMemcpyHostToDevice, device_->upload()));
    travels = true;
  }
  if (!travels) return;
  slot.uploaded.record(device_->upload());
  RESNODE_CUDA(cudaStreamWaitEvent(device_->compute(), slot.uploaded.get(), 0));
}

void CudaExecutable::enqueue(const RunRequest& request, int slot) {
  InputTypes types;
  for (const RunInput& input : request.inputs) types.push_back(input.type == DataType::uint8);
  if (request.milliseconds) {
    std::vector<Event> events;
    launchAll(types, slot, &request, &events);
    if (plan_->processes()) plan_->processes()->await(events.back());
    RESNODE_CUDA(cudaEventSynchronize(events.back().get()));
    for (size_t i = 0; i + 1 < events.size(); ++i) {
      float milliseconds = 0;
      RESNODE_CUDA(cudaEventElapsedTime(&milliseconds, events[i].get(), events[i + 1].get()));
      request.milliseconds->push_back(milliseconds);
    }
  } else if (warm_.count(types) == 0 || plan_->callsHost()) {
    launchAll(types, slot, &request, nullptr);
    warm_.insert(types);
  } else {
    const auto found = graphs_.find({slot, types});
    const cudaGraphExec_t graph = found != graphs_.end() ? found->second.get() : capture(types, slot);
    RESNODE_CUDA(cudaGraphLaunch(graph, device_->compute()));
  }
}

void CudaExecutable::launchAll(const InputTypes& types, int slot, const RunRequest* request,
                               std::vector<Event>* events) {
  const Program& program = plan_->program();
  const cudaStream_t stream = device_->compute();
  for (size_t i = 0; i < types.size(); ++i) {
    const TensorId id = program.inputs[i];
    const TensorLayout& layout = plan_->layout(id);
    const char* source = buffer(plan_->staging()[slot][i]);
    const SourceType type = types[i] ? SourceType::uint8 : SourceType::float32;
    if (layout.isFolded)
      launchNchwToFolded(type, source, layout.type, data(id), nhwcLayout(layout.shape, layout.type).nhwc, stream);
    else if (layout.isNhwc) launchNchwToNhwc(type, source, layout.type, data(id), layout.nhwc, stream);
    else if (types[i])
      launchBytesToFloat(reinterpret_cast<const uint8_t*>(source), reinterpret_cast<float*>(data(id)),
                         layout.elements(), stream);
    else RESNODE_CUDA(cudaMemcpyAsync(data(id), source, layout.bytes(), cudaMemcpyDeviceToDevice, stream));
  }
  const auto mark = [&] {
    if (!events) return;
    events->emplace_back(cudaEventDefault);
    events->back().record(stream);
  };
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (request) throwIfCancelled(*request);
    mark();
    const std::string& layer = program.operations[i].layer;
    try {
      for (const LaunchFunction& conversion : steps_[i].before) conversion(steps_[i].bindings, stream);
      const LaunchFunction& launch = plan_->steps()[i].step.launch;
      if (launch) launch(steps_[i].bindings, stream);
    } catch (const Error& error) {
      throw at(error, "layer \"" + layer + "\"", layer);
    }
  }
  mark();
  for (const Conversion& output : plan_->outputs()) {
    const TensorId id = program.outputs[output.index];
    const TensorLayout& layout = plan_->layout(id);
    launchNhwcToNchw(layout.type, data(id), layout.nhwc, reinterpret_cast<float*>(buffer(output.buffer)), stream);
  }
}

cudaGraphExec_t CudaExecutable::capture(const InputTypes& types, int slot) {
  const cudaStream_t stream = device_->compute();
  cudaGraph_t graph = nullptr;
  // Thread-local: what other threads of the process do with CUDA meanwhile is none of our business.
  RESNODE_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    launchAll(types, slot, nullptr, nullptr);
  } catch (...) {
    if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  RESNODE_CUDA(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t executable = nullptr;
  // cudaGraphInstantiate itself has other parameters in CUDA 11.
  const cudaError_t status = cudaGraphInstantiateWithFlags(&executable, graph, 0);
  cudaGraphDestroy(graph);
  RESNODE_CUDA(status);
  graphs_.emplace(std::make_pair(slot, types), GraphExecutable(executable, device_));
  return executable;
}

void CudaExecutable::download(const RunRequest& request, int index) {
  const Program& program = plan_->program();
  const cudaStream_t stream = device_->compute();
  std::vector<char*> sources;
  sources.reserve(program.outputs.size());
  for (TensorId id : program.outputs) sources.push_back(data(id));
  for (const Conversion& output : plan_->outputs()) sources[output.index] = buffer(output.buffer);
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const size_t bytes = floatBytes(program, program.outputs[i]);
    if (request.outputs[i].buffer) {
      char* target = static_cast<CudaBuffer&>(*request.outputs[i].buffer).data();
      RESNODE_CUDA(cudaMemcpyAsync(target, sources[i], bytes, cudaMemcpyDeviceToDevice, stream));
    } else {
      RESNODE_CUDA(cudaMemcpyAsync(slots_[index]->pinned.get() + pinnedOutputs_[i], sources[i], bytes,
                                   cudaMemcpyDeviceToHost, stream));
    }
  }
  if (!labelChecks_.empty()) {
    RESNODE_CUDA(cudaMemcpyAsync(slots_[index]->pinned.get() + pinnedLabels_, buffer(plan_->labelBuffer()),
                                 labelChecks_.size() * sizeof(int), cudaMemcpyDeviceToHost, stream));
  }
}

void CudaExecutable::deliver(const RunRequest& request, int index) {
  const Program& program = plan_->program();
  device_->use();
  Slot& slot = *slots_[index];
  try {
    if (plan_->processes()) plan_->processes()->await(slot.finished);
    RESNODE_CUDA(cudaEventSynchronize(slot.finished.get()));
  } catch (const Error& error) {
    if (plan_->processes()) plan_->processes()->leave(error.what());
    // The GPU has run the net as one piece: it does not say where.
    throw at(error, "A run of \"" + program.name + "\" failed", {});
  }
  // What has learned is not undone: then the run has its result.
  if (!plan_->updates()) throwIfCancelled(request);
  const int* bad = reinterpret_cast<const int*>(slot.pinned.get() + pinnedLabels_);
  for (size_t i = 0; i < labelChecks_.size(); ++i) {
    if (bad[i] == 0) continue;
    const std::string& layer = program.operations[labelChecks_[i].second].layer;
    throw Error("label/invalid",
                "layer \"" + layer + "\": label number " + std::to_string(bad[i] - 1) + " is no integer from 0 to " +
                    std::to_string(labelChecks_[i].first - 1),
                layer);
  }
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    if (request.outputs[i].buffer) continue;
    std::memcpy(request.outputs[i].data, slot.pinned.get() + pinnedOutputs_[i],
                floatBytes(program, program.outputs[i]));
  }
}

}  // namespace resnode::cuda
