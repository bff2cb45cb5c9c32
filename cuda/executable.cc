#include "cuda/executable.h"

#include <cstring>

#include "cuda/kernels/convert.h"
#include "cuda/kernels/quantise.h"
#include "cuda/nccl/communicator.h"

namespace resnode::cuda {
namespace {

// Adds the place of the failure to an error.
Error at(const Error& error, const std::string& place, const std::string& layer) {
  return Error(error.code(), place + ": " + error.what(), layer);
}

size_t floatBytes(const Program& program, TensorId id) {
  return elementCount(program.tensors[id].shape) * sizeof(float);
}

}  // namespace

// A run that was started and is not completed.
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
  checks_.resize(plan_->checks());
  for (const PlannedBuffer& buffer : plan_->description().buffers) buffers_.push_back(arena_.get() + buffer.offset);
  if (plan_->arrivalsBuffer() >= 0)
    RESNODE_CUDA(cudaMemsetAsync(buffer(plan_->arrivalsBuffer()), 0, plan_->arrivalsBytes(), device_->compute()));
  for (const PlannedStep& planned : plan_->steps()) bind(planned);
}

void CudaExecutable::bind(const PlannedStep& planned) {
  const size_t index = steps_.size();
  BoundStep bound;
  const auto dataOf = [&](TensorId id) { return id < 0 || plan_->bufferOf(id) < 0 ? nullptr : data(id); };
  for (TensorId id : planned.inputs) bound.bindings.inputs.push_back(dataOf(id));
  for (const Conversion& conversion : planned.conversions) {
    const void*& source = bound.bindings.inputs[conversion.index];
    char* target = buffer(conversion.buffer);
    bound.before.push_back(converting(conversion, planned.inputs[conversion.index], source, target));
    source = target;
  }
  for (TensorId id : planned.outputs) bound.bindings.outputs.push_back(dataOf(id));
  for (const Conversion& conversion : planned.made) {
    void*& target = bound.bindings.outputs[conversion.index];
    char* source = buffer(conversion.buffer);
    bound.after.push_back(converting(conversion, planned.outputs[conversion.index], source, target));
    target = source;
  }
  for (const PackedParameter& parameter : planned.step.parameters)
    bound.bindings.parameters.push_back(parameters_->get(parameter));
  if (planned.workspace >= 0) bound.bindings.workspace = buffer(planned.workspace);
  if (plan_->arrivalsBuffer() >= 0)
    bound.bindings.arrivals = reinterpret_cast<unsigned*>(buffer(plan_->arrivalsBuffer()));
  if (planned.labelCheck >= 0) {
    bound.bindings.badLabel = check(planned.labelCheck);
    checks_[planned.labelCheck] = {static_cast<int>(index), planned.step.labelClasses};
  }
  if (planned.numberCheck >= 0) {
    bound.bindings.notFinite = check(planned.numberCheck);
    checks_[planned.numberCheck] = {static_cast<int>(index), 0, planned.outputs[0]};
  }
  if (planned.step.updates && plan_->checkBuffer() >= 0) {
    bound.bindings.badLabel = check(0);
    bound.bindings.labelChecks = plan_->checks();
  }
  steps_.push_back(std::move(bound));
}

LaunchFunction CudaExecutable::converting(const Conversion& conversion, TensorId tensor, const void* source,
                                          void* target) {
  const TensorLayout &from = conversion.from, &to = conversion.to;
  if (isInteger(to.type)) {
    checks_[conversion.check] = {static_cast<int>(steps_.size()), 0, tensor};
    return [=, notFinite = check(conversion.check)](const Bindings&, cudaStream_t stream) {
      launchQuantise(from.type, source, to.type, target, to.elements(), to.scale, notFinite, stream);
    };
  }
  return [=](const Bindings&, cudaStream_t stream) {
    if (isInteger(from.type)) launchDequantise(from.type, source, to.type, target, to.elements(), from.scale, stream);
    else if (from.isNhwc) launchNhwcToNchw(from.type, source, from.nhwc, static_cast<float*>(target), stream);
    else launchNchwToNhwc(SourceType::float32, source, to.type, target, to.nhwc, stream);
  };
}

std::unique_ptr<StartedRun> CudaExecutable::start(const RunRequest& request) {
  device_->use();
  NcclCommunicator* processes = plan_->processes().get();
  try {
    // Not before: a process that cannot make its executables never meets the others. Also if the run was cancelled: the
    // others are told.
    if (processes) processes->open();
    throwIfCancelled(request);
    const int slot = freeSlot();
    auto run = std::make_unique<Run>(shared_from_this(), request, slot);
    slots_[slot]->busy = true;
    upload(request, slot);
    convertInputs(request, slot);
    enqueue(request);
    download(request, *slots_[slot]);
    slots_[slot]->finished.record(device_->compute());
    return run;
  } catch (const std::exception& error) {
    if (processes) processes->leave(error.what());  // work that was enqueued may wait for them
    device_->settle();                              // it may also still read and write the slot
    throw;
  }
}

int CudaExecutable::freeSlot() {
  for (size_t i = 0; i < kSlots; ++i) {
    if (!slots_[i]) slots_[i] = std::make_unique<Slot>();
    if (!slots_[i]->busy) return static_cast<int>(i);
  }
  throw Error("device/failed", "More runs were started than there are slots");
}

char* CudaExecutable::pinned(PinnedMemory& memory, size_t bytes) {
  if (memory.bytes() < bytes) {
    heldPinnedBytes_ -= memory.bytes();
    memory = {};
    memory = allocatePinned(device_, bytes);
    heldPinnedBytes_ += bytes;
  }
  return memory.get();
}

// Arrays are transferred on the upload stream while the compute stream works.
void CudaExecutable::upload(const RunRequest& request, int index) {
  Slot& slot = *slots_[index];
  std::vector<size_t> bytes;
  size_t all = 0;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    const RunInput& input = request.inputs[i];
    const size_t count = elementCount(plan_->program().tensors[plan_->program().inputs[i]].shape);
    bytes.push_back(input.buffer ? 0 : input.type == DataType::uint8 ? count : count * sizeof(float));
    all += aligned(bytes.back());
  }
  if (all == 0) return;
  char* from = pinned(slot.inputs, all);
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == 0) continue;
    std::memcpy(from, request.inputs[i].data, bytes[i]);
    RESNODE_CUDA(
        cudaMemcpyAsync(buffer(plan_->staging()[index][i]), from, bytes[i], cudaMemcpyHostToDevice, device_->upload()));
    from += aligned(bytes[i]);
  }
  slot.uploaded.record(device_->upload());
  RESNODE_CUDA(cudaStreamWaitEvent(device_->compute(), slot.uploaded.get(), 0));
}

// Not part of the graph, so that one graph serves arrays, buffers and bytes. An earlier run may still write a buffer,
// but the compute stream keeps the order.
void CudaExecutable::convertInputs(const RunRequest& request, int slot) {
  const Program& program = plan_->program();
  const cudaStream_t stream = device_->compute();
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    const RunInput& input = request.inputs[i];
    const TensorId id = program.inputs[i];
    const TensorLayout& layout = plan_->layout(id);
    const char* source =
        input.buffer ? static_cast<const CudaBuffer&>(*input.buffer).data() : buffer(plan_->staging()[slot][i]);
    const SourceType type = input.type == DataType::uint8 ? SourceType::uint8 : SourceType::float32;
    const Normalisation normalisation = input.normalisation.value_or(Normalisation{});
    const auto* bytes = reinterpret_cast<const uint8_t*>(source);
    auto* floats = reinterpret_cast<float*>(data(id));
    if (layout.isFolded)
      launchNchwToFolded(type, source, layout.type, data(id), nhwcLayout(layout.shape, layout.type).nhwc, stream,
                         normalisation);
    else if (layout.isNhwc) launchNchwToNhwc(type, source, layout.type, data(id), layout.nhwc, stream, normalisation);
    else if (input.normalisation)
      launchNormalise(bytes, floats, layout.elements(), layout.shape[1],
                      layout.elements() / (layout.shape[0] * layout.shape[1]), normalisation, stream);
    else if (type == SourceType::uint8) launchBytesToFloat(bytes, floats, layout.elements(), stream);
    else RESNODE_CUDA(cudaMemcpyAsync(data(id), source, layout.bytes(), cudaMemcpyDeviceToDevice, stream));
  }
}

void CudaExecutable::enqueue(const RunRequest& request) {
  if (request.milliseconds) {
    std::vector<Event> events;
    launchAll(&request, &events);
    if (plan_->processes()) plan_->processes()->await(events.back());
    RESNODE_CUDA(cudaEventSynchronize(events.back().get()));
    for (size_t i = 0; i + 1 < events.size(); ++i) {
      float milliseconds = 0;
      RESNODE_CUDA(cudaEventElapsedTime(&milliseconds, events[i].get(), events[i + 1].get()));
      request.milliseconds->push_back(milliseconds);
    }
  } else if (!isWarm_ || plan_->callsHost()) {
    launchAll(&request, nullptr);
    isWarm_ = true;
  } else {
    if (!graph_) {
      graph_ = std::make_shared<GraphExecutable>(
          capture(device_, device_->compute(), [this] { launchAll(nullptr, nullptr); }));
      if (plan_->processes()) plan_->processes()->usedIn(graph_);
    }
    RESNODE_CUDA(cudaGraphLaunch(graph_->get(), device_->compute()));
  }
}

void CudaExecutable::launchAll(const RunRequest* request, std::vector<Event>* events) {
  const Program& program = plan_->program();
  const cudaStream_t stream = device_->compute();
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
      for (const LaunchFunction& conversion : steps_[i].after) conversion(steps_[i].bindings, stream);
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

void CudaExecutable::download(const RunRequest& request, Slot& slot) {
  const Program& program = plan_->program();
  const cudaStream_t stream = device_->compute();
  std::vector<char*> sources;
  sources.reserve(program.outputs.size());
  for (TensorId id : program.outputs) sources.push_back(data(id));
  for (const Conversion& output : plan_->outputs()) sources[output.index] = buffer(output.buffer);
  const size_t checkBytes = checks_.size() * sizeof(int);
  size_t all = aligned(checkBytes);
  for (size_t i = 0; i < program.outputs.size(); ++i)
    all += request.outputs[i].buffer ? 0 : aligned(floatBytes(program, program.outputs[i]));
  char* to = pinned(slot.results, all);
  slot.checks = reinterpret_cast<const int*>(to);
  if (checkBytes > 0)
    RESNODE_CUDA(cudaMemcpyAsync(to, buffer(plan_->checkBuffer()), checkBytes, cudaMemcpyDeviceToHost, stream));
  to += aligned(checkBytes);
  slot.outputs.assign(program.outputs.size(), nullptr);
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const size_t bytes = floatBytes(program, program.outputs[i]);
    if (request.outputs[i].buffer) {
      char* target = static_cast<CudaBuffer&>(*request.outputs[i].buffer).data();
      RESNODE_CUDA(cudaMemcpyAsync(target, sources[i], bytes, cudaMemcpyDeviceToDevice, stream));
    } else {
      slot.outputs[i] = to;
      RESNODE_CUDA(cudaMemcpyAsync(to, sources[i], bytes, cudaMemcpyDeviceToHost, stream));
      to += aligned(bytes);
    }
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
    // The GPU ran the net as one graph, so the layer at fault is unknown.
    throw at(error, "A run of \"" + program.name + "\" failed", {});
  }
  // An update cannot be undone, so after one the run returns its result even if it was cancelled.
  if (!plan_->updates()) throwIfCancelled(request);
  for (size_t i = 0; i < checks_.size(); ++i) {
    const Check& about = checks_[i];
    const int bad = slot.checks[i];
    if (bad == 0) continue;
    const std::string& layer = program.operations[about.operation].layer;
    if (about.tensor >= 0) throwNotFinite(program.tensors[about.tensor].name, layer);
    throw Error("label/invalid",
                "layer \"" + layer + "\": label or index number " + std::to_string(bad - 1) +
                    " is not an integer from 0 to " + std::to_string(about.classes - 1),
                layer);
  }
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    if (!slot.outputs[i]) continue;
    std::memcpy(request.outputs[i].data, slot.outputs[i], floatBytes(program, program.outputs[i]));
  }
}

}  // namespace resnode::cuda
