// The CPU backend on oneDNN (API of 2.x): https://oneapi-src.github.io/oneDNN/v2.6/
#include <dnnl.hpp>
#include <omp.h>

#include <algorithm>

#include "core/host-buffer.h"
#include "parameters.h"
#include "plan.h"
#include "reference/operations.h"

namespace resnode::cpu {
namespace {

class CpuExecutable final : public Executable {
 public:
  CpuExecutable(std::shared_ptr<CpuPlan> plan, std::shared_ptr<CpuParameters> parameters, dnnl::stream stream,
                const std::vector<size_t>& offsets, size_t arenaBytes)
      : plan_(std::move(plan)), parameters_(std::move(parameters)), stream_(std::move(stream)), arenaBytes_(arenaBytes),
        arena_(allocate(arenaBytes, "the activations of \"" + plan_->program().name + "\"")),
        workspace_(allocate(plan_->description().workspaceBytes, "the workspace")) {
    for (size_t offset : offsets) buffers_.push_back(arena_.get() + offset);
    const Program& program = plan_->program();
    for (size_t i = 0; i < program.operations.size(); ++i) bind(program.operations[i], plan_->steps()[i]);
    parameters_->endPacking();
    for (TensorId id : program.outputs) {
      const Layout plain = plainLayout(program.tensors[id].shape);
      Output output{memory(plan_->layout(id), data(id)), memory(plain, nullptr), std::nullopt};
      if (!(plan_->layout(id) == plain)) output.reorder = dnnl::reorder(output.from, output.to);
      outputs_.push_back(std::move(output));
    }
  }

  std::unique_ptr<StartedRun> start(const RunRequest& request) override {
    const Program& program = plan_->program();
    for (size_t i = 0; i < program.inputs.size(); ++i) {
      const TensorId id = program.inputs[i];
      copyInput(hostData(request.inputs[i]), request.inputs[i].type, elementCount(program.tensors[id].shape), reinterpret_cast<float*>(data(id)));
    }
    for (Bound& step : steps_) {
      throwIfCancelled(request);
      const Stopwatch watch;
      for (auto& [primitive, arguments] : step.before) primitive.execute(stream_, arguments);
      if (step.primitive) step.primitive->execute(stream_, step.arguments);
      else reference::run(program, *step.operation, step.reference);
      stream_.wait();
      if (request.milliseconds) request.milliseconds->push_back(watch.milliseconds());
    }
    for (size_t i = 0; i < outputs_.size(); ++i) {
      Output& output = outputs_[i];
      if (!output.reorder) {
        std::memcpy(hostData(request.outputs[i]), output.from.get_data_handle(), output.from.get_desc().get_size());
        continue;
      }
      output.to.set_data_handle(hostData(request.outputs[i]));
      output.reorder->execute(stream_, output.from, output.to);
      stream_.wait();
    }
    return nullptr;
  }
  size_t arenaBytes() const override { return arenaBytes_; }
  size_t workspaceBytes() const override { return plan_->description().workspaceBytes; }

 private:
  using PrimitiveArguments = std::unordered_map<int, dnnl::memory>;
  struct Bound {
    const Operation* operation;
    std::vector<std::pair<dnnl::primitive, PrimitiveArguments>> before;  // conversions and copies
    std::optional<dnnl::primitive> primitive;
    PrimitiveArguments arguments;
    reference::Arguments reference;
  };
  struct Output {
    dnnl::memory from, to;
    std::optional<dnnl::reorder> reorder;
  };

  void* data(TensorId id) const { return buffers_[plan_->description().tensorBuffers[id]]; }
  dnnl::memory memory(const Layout& layout, void* bytes) const { return dnnl::memory(layout, stream_.get_engine(), bytes); }

  void reorder(Bound& bound, const dnnl::memory& from, const dnnl::memory& to) {
    bound.before.emplace_back(dnnl::reorder(from, to), PrimitiveArguments{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }

  void bind(const Operation& operation, const Step& step) {
    Bound bound{&operation, {}, step.primitive, {}, {}};
    const Program& program = plan_->program();
    std::vector<void*> inputs;
    for (TensorId id : operation.inputs) inputs.push_back(id < 0 ? nullptr : data(id));
    for (const Conversion& conversion : step.conversions) {
      void* target = buffers_[conversion.buffer];
      reorder(bound, memory(conversion.from, inputs[conversion.input]), memory(conversion.to, target));
      inputs[conversion.input] = target;
    }
    if (step.primitive) {
      const dnnl::memory output = memory(step.outputLayout, data(operation.outputs[0]));
      if (step.copyResidual) reorder(bound, memory(step.inputLayouts[1], inputs[1]), output);
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (step.inputArguments[i] >= 0) bound.arguments.emplace(step.inputArguments[i], memory(step.inputLayouts[i], inputs[i]));
      }
      bound.arguments.emplace(DNNL_ARG_DST, output);
      bound.arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(step.scratch, workspace_.get()));
      for (const WeightArgument& weight : step.weights) {
        bound.arguments.emplace(weight.argument, parameters_->packed(weight.id, weight.from, weight.to, stream_));
      }
    } else {
      std::vector<float*> read, written;
      for (void* input : inputs) read.push_back(static_cast<float*>(input));
      for (TensorId id : operation.outputs) written.push_back(id < 0 ? nullptr : static_cast<float*>(data(id)));
      reference::bind(program, operation, read, written, bound.reference);
      bound.reference.parameters.assign(program.parameters.size(), nullptr);
      for (ParameterId id : parametersOf(program, operation)) bound.reference.parameters[id] = parameters_->plain(id);
    }
    steps_.push_back(std::move(bound));
  }

  std::shared_ptr<CpuPlan> plan_;
  std::shared_ptr<CpuParameters> parameters_;
  dnnl::stream stream_;
  size_t arenaBytes_;
  AlignedBytes arena_, workspace_;
  std::vector<char*> buffers_;
  std::vector<Bound> steps_;
  std::vector<Output> outputs_;
};

// Turns oneDNN's errors into ours.
template <class Function>
auto guarded(const char* what, Function function) {
  try {
    return function();
  } catch (const dnnl::error& error) {
    throw Error(error.status == dnnl_out_of_memory ? "device/out-of-memory" : "device/failed",
                std::string("oneDNN: ") + what + ": " + error.what());
  }
}

// What oneDNN compiles for on this processor.
const char* instructionSet() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41: return "SSE4.1";
    case dnnl::cpu_isa::avx: return "AVX";
    case dnnl::cpu_isa::avx2: return "AVX2";
    case dnnl::cpu_isa::avx2_vnni: return "AVX2 with VNNI";
    case dnnl::cpu_isa::avx512_core: return "AVX-512";
    case dnnl::cpu_isa::avx512_core_vnni: return "AVX-512 with VNNI";
    case dnnl::cpu_isa::avx512_core_bf16: return "AVX-512 with bfloat16";
    case dnnl::cpu_isa::avx512_core_amx: return "AVX-512 with AMX";
    default: return "generic";
  }
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(const BackendOptions& options) : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_), winograd_(options.winograd) {
    if (options.threads > 0) omp_set_num_threads(options.threads);
  }
  std::vector<std::pair<std::string, std::string>> describe() const override {
    const dnnl_version_t* version = dnnl_version();
    return {{"threads", std::to_string(omp_get_max_threads())},
            {"oneDNN", std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch)},
            {"instruction set", instructionSet()}};
  }
  std::shared_ptr<Plan> plan(std::shared_ptr<const Program> program, const PlanOptions& options) override {
    requireFloat32(options, "cpu");
    return guarded("plan", [&] { return std::make_shared<CpuPlan>(std::move(program), engine_, winograd_); });
  }
  std::shared_ptr<Parameters> createParameters(std::shared_ptr<const Program> program, std::vector<ParameterSource> sources) override {
    return std::make_shared<CpuParameters>(std::move(program), std::move(sources));
  }
  std::shared_ptr<Executable> compile(std::shared_ptr<Plan> plan, std::shared_ptr<Parameters> parameters,
                                      const std::vector<size_t>& offsets, size_t arenaBytes) override {
    return guarded("compile", [&] {
      return std::make_shared<CpuExecutable>(std::static_pointer_cast<CpuPlan>(plan), std::static_pointer_cast<CpuParameters>(parameters),
                                             stream_, offsets, arenaBytes);
    });
  }
  std::shared_ptr<Buffer> allocateBuffer(size_t bytes) override { return std::make_shared<HostBuffer>(bytes); }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  bool winograd_;
};

}  // namespace
}  // namespace resnode::cpu

extern "C" __attribute__((visibility("default"))) resnode::Backend* resnode_create_backend(int abi, const resnode::BackendOptions& options) {
  if (abi != resnode::kBackendAbi) throw resnode::Error("device/unavailable", "libresnode_cpu.so is of another version than the addon");
  return new resnode::cpu::CpuBackend(options);
}
