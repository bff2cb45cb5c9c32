#include "native/reference/backend.h"

#include <algorithm>

#include "native/core/host-buffer.h"
#include "native/reference/operations.h"

namespace resnode::reference {
namespace {

class PlainPlan final : public Plan {
 public:
  explicit PlainPlan(std::shared_ptr<const Program> program) : program_(std::move(program)) {
    const auto lifetimes = tensorLifetimes(*program_);
    for (size_t i = 0; i < lifetimes.size(); ++i) {
      if (lifetimes[i].from < 0) {
        description_.tensorBuffers.push_back(-1);
        continue;
      }
      const Tensor& tensor = program_->tensors[i];
      description_.tensorBuffers.push_back(static_cast<int>(description_.buffers.size()));
      description_.buffers.push_back({elementCount(tensor.shape) * sizeof(float), lifetimes[i].from, lifetimes[i].to});
    }
    description_.arena = placeBuffers(description_.buffers, kHostAlignment);
    for (const Parameter& parameter : program_->parameters) {
      description_.parameterBytes += elementCount(parameter.shape) * sizeof(float);
    }
    description_.implementations.assign(program_->operations.size(), "reference");
  }
  const Program& program() const override { return *program_; }
  const PlanDescription& description() const override { return description_; }

 private:
  std::shared_ptr<const Program> program_;
  PlanDescription description_;
};

class PlainParameters final : public Parameters {
 public:
  PlainParameters(std::shared_ptr<const Program> program, const std::vector<ParameterSource>& sources)
      : program_(std::move(program)) {
    for (size_t i = 0; i < sources.size(); ++i) {
      values.emplace_back(elementCount(program_->parameters[i].shape));
      materialise(sources[i], program_->parameters[i].shape, values.back().data());
      bytes_ += values.back().size() * sizeof(float);
    }
  }
  void write(ParameterId id, ParameterSource source) override {
    materialise(source, program_->parameters[id].shape, values[id].data());
  }
  void read(ParameterId id, float* destination) const override {
    std::copy(values[id].begin(), values[id].end(), destination);
  }
  size_t bytes() const override { return bytes_; }
  std::vector<std::vector<float>> values;

 private:
  std::shared_ptr<const Program> program_;
  size_t bytes_ = 0;
};

class PlainExecutable final : public Executable {
 public:
  PlainExecutable(std::shared_ptr<Plan> plan, std::shared_ptr<PlainParameters> parameters)
      : plan_(std::move(plan)),
        parameters_(std::move(parameters)),
        arena_(allocate(arenaBytes(), "the activations of \"" + plan_->program().name + "\"")) {
    const PlanDescription& description = plan_->description();
    for (int buffer : description.tensorBuffers) {
      tensors_.push_back(buffer < 0 ? nullptr
                                    : reinterpret_cast<float*>(arena_.get() + description.buffers[buffer].offset));
    }
  }

  std::unique_ptr<StartedRun> start(const RunRequest& request) override {
    const Program& program = plan_->program();
    for (size_t i = 0; i < program.inputs.size(); ++i) {
      const TensorId id = program.inputs[i];
      const Shape& shape = program.tensors[id].shape;
      copyInput(request.inputs[i], hostData(request.inputs[i]), shape, 0, elementCount(shape), tensors_[id]);
    }
    Arguments arguments;
    for (auto& values : parameters_->values) arguments.parameters.push_back(values.data());
    for (const Operation& operation : program.operations) {
      throwIfCancelled(request);
      const Stopwatch watch;
      bindArguments(program, operation, memoryOf(operation.inputs), memoryOf(operation.outputs), arguments);
      reference::run(arguments);
      if (request.milliseconds) request.milliseconds->push_back(watch.milliseconds());
    }
    for (size_t i = 0; i < program.outputs.size(); ++i) {
      const TensorId id = program.outputs[i];
      std::copy_n(tensors_[id], elementCount(program.tensors[id].shape), hostData(request.outputs[i]));
    }
    return nullptr;
  }
  size_t arenaBytes() const override { return plan_->description().arena.bytes; }
  size_t workspaceBytes() const override { return 0; }

 private:
  std::vector<float*> memoryOf(const std::vector<TensorId>& ids) const {
    std::vector<float*> memory;
    memory.reserve(ids.size());
    for (TensorId id : ids) memory.push_back(id < 0 ? nullptr : tensors_[id]);
    return memory;
  }

  std::shared_ptr<Plan> plan_;
  std::shared_ptr<PlainParameters> parameters_;
  AlignedBytes arena_;
  std::vector<float*> tensors_;
};

class ReferenceBackend final : public Backend {
 public:
  std::vector<std::pair<std::string, std::string>> describe() const override { return {{"threads", "1"}}; }
  std::shared_ptr<Plan> plan(std::shared_ptr<const Program> program, const PlanOptions& options) override {
    requireFloat32(options, "reference");
    return std::make_shared<PlainPlan>(std::move(program));
  }
  std::shared_ptr<Parameters> createParameters(std::shared_ptr<const Program> program,
                                               std::vector<ParameterSource> sources) override {
    return std::make_shared<PlainParameters>(std::move(program), sources);
  }
  std::shared_ptr<Executable> compile(std::shared_ptr<Plan> plan, std::shared_ptr<Parameters> parameters) override {
    return std::make_shared<PlainExecutable>(std::move(plan), std::static_pointer_cast<PlainParameters>(parameters));
  }
  std::shared_ptr<Buffer> allocateBuffer(size_t bytes) override { return std::make_shared<HostBuffer>(bytes); }
};

}  // namespace

std::unique_ptr<Backend> createBackend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace resnode::reference
