// The CPU backend: our own tiles and loops, and oneDNN for operations that these do not support.
#include "native/core/feature-maps.h"
#include "native/core/host-buffer.h"
#include "native/core/interface-stamp.h"
#include "native/cpu/executable.h"
#include "native/operations/convolution/cpu-choice.h"

namespace resnode::cpu {
namespace {

// The name of the kernels for AVX-512 together with those for AMX.
constexpr const char* kMatrices = "AMX";

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

// The instruction set for which oneDNN generates code on this processor.
const char* oneDnnInstructionSet() {
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
  explicit CpuBackend(const BackendOptions& options)
      : winograd_(options.winograd), deterministic_(options.deterministic) {
    const int threads = options.threads > 0 ? options.threads : ThreadPool::available();
    oneDnn_ = std::make_shared<OneDnn>(threads);
    pool_ = std::make_unique<ThreadPool>(threads);
    const bool needsMatrices = options.kernels == kMatrices;
    if (options.kernels != "oneDNN") kernels_ = tileKernels(needsMatrices ? "AVX-512" : options.kernels.c_str());
    if (kernels_ && (needsMatrices || options.kernels.empty())) matrixKernels_ = matrixKernels();
    if (needsMatrices && !matrixKernels_) kernels_ = nullptr;
    if (!kernels_ && !options.kernels.empty() && options.kernels != "oneDNN") {
      const char* rest = needsMatrices ? ", or the system does not let this process use it; it" : ", which";
      throw Error("device/unavailable", "This processor has no " + options.kernels + rest +
                                            " was requested with kernels: \"" + options.kernels + "\"");
    }
    int8Kernels_ = int8Kernels(kernels_, !options.kernels.empty());
    if (!kernels_)
      guarded("open", [&] { return &oneDnn_->engine(); });  // it will be needed, so if it is missing, report it now
    choice_ = std::make_unique<ConvolutionChoice>(*pool_, options.cacheFolder);
  }
  std::vector<std::pair<std::string, std::string>> describe() const override {
    const std::string version = OneDnn::openedVersion().value_or("opened on demand");
    return {{"threads", std::to_string(pool_->threads())},
            {"oneDNN", version},
            {"instruction set", kernels_ ? instructionSet() : oneDnnInstructionSet()},
            {"kernels", kernels_ ? "resnode, " + instructionSet() : "oneDNN"}};
  }
  std::shared_ptr<Plan> plan(std::shared_ptr<const Program> program, const PlanOptions& options) override {
    const bool isInt8 = options.precision == Precision::int8, isBfloat16 = options.precision == Precision::bfloat16;
    if (isBfloat16) requireBfloat16(*program);
    else if (!isInt8) requireFloat32(options, "cpu");
    const auto* like = static_cast<const CpuPlan*>(options.like.get());
    const bool measures = options.tune && !options.deterministic && !deterministic_ && !like;
    return guarded("plan", [&] {
      const Int8Kernels* int8 = int8Kernels_;
      if (isInt8 && !int8 && !OneDnn::isInstalled()) int8 = int8Kernels(kernels_, true);
      auto plan = std::make_shared<CpuPlan>(std::move(program), oneDnn_, *pool_, kernels_, int8, winograd_,
                                            measures ? choice_.get() : nullptr, like,
                                            isInt8 ? options.quantization : Quantization{},
                                            isBfloat16 ? bfloat16Kernels(kernels_) : nullptr, matrixKernels_);
      choice_->save();
      return plan;
    });
  }
  std::shared_ptr<Parameters> createParameters(std::shared_ptr<const Program> program,
                                               std::vector<ParameterSource> sources) override {
    return std::make_shared<CpuParameters>(std::move(program), std::move(sources), oneDnn_, *pool_);
  }
  std::shared_ptr<Executable> compile(std::shared_ptr<Plan> plan, std::shared_ptr<Parameters> parameters) override {
    return guarded("compile", [&] {
      return std::make_shared<CpuExecutable>(std::static_pointer_cast<CpuPlan>(plan),
                                             std::static_pointer_cast<CpuParameters>(parameters), oneDnn_);
    });
  }
  std::shared_ptr<Buffer> allocateBuffer(size_t bytes) override { return std::make_shared<HostBuffer>(bytes); }

 private:
  std::string instructionSet() const {
    return matrixKernels_ ? std::string(kernels_->name) + " with " + matrixKernels_->name : kernels_->name;
  }
  // Throws Error("device/unsupported") if a program cannot be computed in bfloat16.
  void requireBfloat16(const Program& program) const {
    if (!bfloat16Kernels(kernels_))
      throw Error(
          "device/unsupported",
          "The cpu device cannot compute in bfloat16 here: it needs its own kernels for AVX2 or AVX-512 (not kernels: "
          "\"oneDNN\"), or a 64-bit Arm; use precision \"float32\"");
    for (const Operation& operation : program.operations) {
      if (isOfTraining(operation))
        throw Error(
            "device/unsupported",
            "The cpu device computes in bfloat16 forward only and trains in float32; training in bfloat16 needs a CUDA "
            "device",
            operation.layer);
    }
  }

  std::shared_ptr<OneDnn> oneDnn_;
  std::unique_ptr<ThreadPool> pool_;
  const TileKernels* kernels_ = nullptr;
  const MatrixKernels* matrixKernels_ = nullptr;
  const Int8Kernels* int8Kernels_ = nullptr;
  bool winograd_, deterministic_;
  std::unique_ptr<ConvolutionChoice> choice_;
};

}  // namespace
}  // namespace resnode::cpu

extern "C" __attribute__((visibility("default"))) const char* resnode_interface_stamp() {
  return resnode::interfaceStamp();
}

extern "C" __attribute__((visibility("default"))) resnode::Backend* resnode_create_backend(
    const resnode::BackendOptions& options) {
  return new resnode::cpu::CpuBackend(options);
}
