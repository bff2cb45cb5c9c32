#include "cuda/cudnn/convolution.h"

#include <algorithm>
#include <set>

#include "cuda/check.h"
#include "cuda/convolution/shift-corrections.h"
#include "cuda/cudnn/excluded.h"
#include "cuda/cudnn/graph.h"
#include "cuda/kernels/convert.h"
#include "cuda/memory.h"
#include "cuda/operations/prelu/prelu.h"
#include "native/core/error.h"

namespace resnode::cuda {

using namespace cudnn;

namespace {

constexpr int64_t kMaxKnobs = 64, kMaxNotes = 32;  // more than cuDNN 9 has

// cuDNN proposes up to a hundred configurations, best first. Many must be compiled before they can be timed, half a
// second each. On an H200, for each convolution of ResNet-50 at batches 1 and 256, the best of mode A's first ones was
// within 5% of the best of all. A weight gradient's fallbacks take a second each to compile (20 s for a training plan
// of ResNet-50), so they are used only if nothing else was proposed. All integer engines must be compiled, and our own
// kernels can replace them. `before`: how many other graphs of the problem have given; `have`: how many this one has.
size_t wantedOf(cudnnBackendHeurMode_t mode, const ConvolutionProblem& problem, size_t before, size_t have) {
  const bool areIntegers = isInteger(problem.type);
  switch (mode) {
    case CUDNN_HEUR_MODE_A: return before == 0 && !areIntegers ? 6 : 3;
    case CUDNN_HEUR_MODE_B: return before == 0 && !areIntegers ? 2 : 0;
    default:
      if (problem.pass == ConvolutionPass::weightGradient) return before + have == 0 ? 4 : 0;
      return have < 3 ? 4 - have : 0;
  }
}

// An engine with its knobs set, and its graph.
struct EngineConfiguration {
  std::shared_ptr<const CudnnConvolutionGraph> graph;
  CudnnDescriptor descriptor;
  EngineNotes notes;
  std::string name;
  bool narrowBias = false;
  bool narrowResult = false;  // it writes the data's type where float32 is needed
  bool makesSums = false;
};

// "cudnn-engine-38[2:5,13:1]": the engine's index, then knob types and values, ordered by type.
std::string describe(int64_t engine, const std::set<std::pair<int, int64_t>>& knobs) {
  std::string text = "cudnn-engine-" + std::to_string(engine) + "[";
  for (const auto& [type, value] : knobs)
    text += (text.back() == '[' ? "" : ",") + std::to_string(type) + ":" + std::to_string(value);
  return text + "]";
}

EngineConfiguration readConfiguration(std::shared_ptr<const CudnnConvolutionGraph> graph, CudnnDescriptor descriptor) {
  std::vector<CudnnDescriptor> engines =
      descriptor.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1, "an engine");
  if (engines.empty()) throw Error("device/failed", "cuDNN proposes a configuration without an engine");
  const CudnnDescriptor& engine = engines.front();
  EngineNotes notes{engine.list<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, kMaxNotes),
                    engine.list<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, kMaxNotes)};
  std::set<std::pair<int, int64_t>> knobs;
  for (const CudnnDescriptor& knob : descriptor.descriptors(
           CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, kMaxKnobs, "a knob")) {
    knobs.emplace(knob.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE),
                  knob.get<int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  }
  std::string name = describe(engine.get<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX), knobs);
  return {std::move(graph), std::move(descriptor), std::move(notes), std::move(name)};
}

class CudnnConvolution final : public ConvolutionImplementation {
 public:
  CudnnConvolution(CudnnHandle& handle, std::shared_ptr<EngineConfiguration> configuration,
                   const ConvolutionProblem& problem)
      : handle_(handle),
        configuration_(std::move(configuration)),
        problem_(problem),
        plan_(handle.library(), CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "the plan of " + configuration_->name) {
    if (handle.get()) plan_.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle.get());
    if (handle.properties()) plan_.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *handle.properties());
    plan_.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration_->descriptor);
    plan_.finalize();
    planBytes_ = static_cast<size_t>(plan_.get<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
  }

  const std::string& name() const override { return configuration_->name; }
  size_t workspaceBytes() const override {
    if (configuration_->narrowResult) return aligned(planBytes_) + problem_.resultElements() * bytesOf(problem_.type);
    return goesThroughNorm() ? aligned(planBytes_) + 3 * equivalentBytes() : planBytes_;
  }
  bool makesSums() const override { return configuration_->makesSums; }
  bool readsCorrections() const override { return problem_.type == ElementType::uint8; }
  bool deterministic() const override { return !configuration_->notes.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC); }

  void enqueue(const ConvolutionArguments& arguments, cudaStream_t stream) override {
    const bool isData = problem_.pass == ConvolutionPass::dataGradient,
               isWeight = problem_.pass == ConvolutionPass::weightGradient;
    const bool isNarrow = configuration_->narrowResult;
    void* made = isNarrow ? static_cast<char*>(arguments.workspace) + aligned(planBytes_) : arguments.output;
    std::vector<int64_t> ids{kInputId, kWeightsId, kOutputId};
    std::vector<void*> pointers{isData ? made : const_cast<void*>(arguments.input),
                                isWeight ? made : const_cast<void*>(arguments.weights),
                                isData || isWeight ? const_cast<void*>(arguments.diff) : made};
    if (problem_.bias) {
      ids.push_back(kBiasId);
      pointers.push_back(configuration_->narrowBias ? const_cast<void*>(arguments.narrowBias)
                                                    : const_cast<float*>(arguments.bias));
    }
    if (problem_.residual) {
      ids.push_back(kResidualId);
      pointers.push_back(const_cast<void*>(arguments.residual));
    }
    if (isInteger(problem_.type)) {
      ids.push_back(kFactorsId);
      pointers.push_back(const_cast<float*>(arguments.factors));
      if (problem_.residual) {
        ids.push_back(kResidualFactorId);
        pointers.push_back(const_cast<float*>(arguments.factors + problem_.output.paddedChannels));
      }
      if (shiftsResult(problem_)) {
        ids.push_back(kShiftId);
        pointers.push_back(const_cast<float*>(arguments.factors + problem_.output.paddedChannels + kShiftPlace));
      }
      if (readsCorrections()) {
        ids.push_back(kCorrectionsId);
        pointers.push_back(const_cast<float*>(arguments.corrections));
      }
    }
    if (goesThroughNorm()) {
      const DiffNorm& norm = arguments.norm;
      char* equivalent = static_cast<char*>(arguments.workspace) + aligned(planBytes_);
      ids.insert(ids.end(), {kNormInputId, kNormMeanId, kNormInverseId, kNormGammaId, kNormBetaId, kDiffSumId,
                             kDiffProductId, kEquivalentDiffScaleId, kEquivalentInputScaleId, kEquivalentBiasId});
      pointers.push_back(const_cast<void*>(norm.x));
      for (const float* each : {norm.mean, norm.inverse, norm.gamma, norm.beta})
        pointers.push_back(const_cast<float*>(each));
      pointers.insert(pointers.end(), {norm.sum, norm.product, equivalent, equivalent + equivalentBytes(),
                                       equivalent + 2 * equivalentBytes()});
    } else if (makesSums()) {
      ids.insert(ids.end(), {kSumsId, kSquaresId});
      pointers.insert(pointers.end(), {arguments.sums, arguments.squares});
    }
    CudnnDescriptor pack(handle_.library(), CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "the pointers of " + name());
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, pointers);
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, arguments.workspace);
    pack.finalize();

    clearPadding(made, stream);
    handle_.setStream(stream);
    const cudnnStatus_t status = handle_.library().call.cudnnBackendExecute(handle_.get(), plan_.get(), pack.get());
    if (status != CUDNN_STATUS_SUCCESS) checkCudnn(handle_.library(), status, "running " + name());
    if (problem_.slopes > 0) {
      const Nhwc& y = problem_.output;
      launchPRelu(problem_.type, made, arguments.slopes, problem_.slopes == 1, made, y.pixels(), y.c, y.paddedChannels,
                  1, stream);
    }
    if (isNarrow)
      launchToFloat(problem_.type, made, static_cast<float*>(arguments.output), problem_.resultElements(), stream);
  }

 private:
  bool goesThroughNorm() const { return makesSums() && problem_.pass == ConvolutionPass::dataGradient; }
  // For factors of dx, one per channel, which cuDNN writes and nothing here reads.
  size_t equivalentBytes() const { return aligned(problem_.input.c * sizeof(float)); }

  // A grouped convolution writes only the true channels, but whoever writes a tensor must write zeros to its padding
  // (types.h).
  void clearPadding(void* output, cudaStream_t stream) const {
    if (problem_.group == 1) return;
    const Nhwc& made = problem_.pass == ConvolutionPass::dataGradient ? problem_.input : problem_.output;
    const bool isWeight = problem_.pass == ConvolutionPass::weightGradient;  // its padding consists of whole filters
    const size_t bytes = bytesOf(configuration_->narrowResult ? problem_.type : problem_.resultType()) *
                         (isWeight ? problem_.r * problem_.s * problem_.weightChannels() : 1);
    if (made.c == made.paddedChannels) return;
    const bool isShifted = isInteger(problem_.type) && problem_.outputType == ElementType::uint8;
    RESNODE_CUDA(cudaMemset2DAsync(static_cast<char*>(output) + made.c * bytes, made.paddedChannels * bytes,
                                   isShifted ? -kShift : 0, (made.paddedChannels - made.c) * bytes,
                                   isWeight ? 1 : made.pixels(), stream));
  }

  CudnnHandle& handle_;
  std::shared_ptr<EngineConfiguration> configuration_;
  ConvolutionProblem problem_;
  CudnnDescriptor plan_;
  size_t planBytes_ = 0;
};

const char* nameOf(cudnnBackendHeurMode_t mode) {
  return mode == CUDNN_HEUR_MODE_A ? "A" : mode == CUDNN_HEUR_MODE_B ? "B" : "fallback";
}

void refuse(std::vector<std::string>* refusals, const std::string& what) {
  if (refusals) refusals->push_back(what);
}

}  // namespace

ConvolutionOptions cudnnOptions(CudnnHandle& handle, const ConvolutionProblem& problem, const CudnnWishes& wishes,
                                std::vector<std::string>* refusals) {
  ConvolutionOptions options;
  if (isInteger(problem.type) && (problem.clip > 0 || problem.slopes > 0)) {
    refuse(refusals, "integers with a Clip or a PReLU: only our kernels compute them");
    return options;
  }
  std::set<std::string> seen;
  const bool isNarrow = bytesOf(problem.type) == 2;
  const auto consider = [&](const std::shared_ptr<const CudnnConvolutionGraph>& graph, CudnnDescriptor descriptor,
                            EpilogueForm form) {
    auto configuration = std::make_shared<EngineConfiguration>(readConfiguration(graph, std::move(descriptor)));
    // Each form numbers its engines separately.
    if (form == EpilogueForm::classic && !formsAgree(problem)) configuration->name += "-classic";
    configuration->narrowBias = form == EpilogueForm::classic && isNarrow;
    configuration->narrowResult = form == EpilogueForm::classic && isNarrow && problem.resultType() != problem.type;
    configuration->makesSums = form == EpilogueForm::sums;
    if (configuration->makesSums) configuration->name += "-sums";
    if (!seen.insert(configuration->name).second) return;
    const std::string why = exclusionOf(configuration->notes, problem, wishes.deterministic, handle.library());
    if (!why.empty()) return refuse(refusals, configuration->name + ": " + why);
    options.push_back({configuration->name,
                       [&handle, configuration, problem]() -> std::unique_ptr<ConvolutionImplementation> {
                         return std::make_unique<CudnnConvolution>(handle, configuration, problem);
                       },
                       configuration->makesSums});
  };

  // Classic first: most of its engines need no compilation.
  for (EpilogueForm form : {EpilogueForm::classic, EpilogueForm::free, EpilogueForm::sums}) {
    if (form == EpilogueForm::sums && !problem.wantsSums) continue;
    const bool wantsNarrowBias = form == EpilogueForm::classic && problem.bias && isNarrow;
    if (wantsNarrowBias && !wishes.narrowBias) continue;
    if (form == EpilogueForm::free && formsAgree(problem)) continue;
    std::shared_ptr<const CudnnConvolutionGraph> graph;
    try {
      graph = std::make_shared<const CudnnConvolutionGraph>(handle, problem, form);
    } catch (const Error& error) {
      refuse(refusals, error.what());
      continue;
    }
    const size_t before = form == EpilogueForm::sums ? 1 : options.size();
    const size_t begin = options.size();
    for (cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
      const size_t end = options.size() + wantedOf(mode, problem, before, options.size() - begin);
      if (end == options.size()) continue;
      try {
        CudnnDescriptor heuristic(handle.library(), CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR,
                                  std::string("heuristic ") + nameOf(mode));
        heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph->graph());
        heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
        if (handle.properties()) heuristic.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *handle.properties());
        heuristic.finalize();
        const int64_t proposals = heuristic.count(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR);
        for (CudnnDescriptor& descriptor : heuristic.descriptors(
                 CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, proposals, "a configuration")) {
          if (options.size() == end) break;
          consider(graph, std::move(descriptor), form);
        }
      } catch (const Error& error) {
        refuse(refusals, error.what());
      }
    }
  }
  // Engines that also compute sums are tried right after the likely best one, because they save a pass over the output.
  std::stable_partition(options.begin() + std::min<size_t>(options.size(), 1), options.end(),
                        [](const ConvolutionOption& option) { return option.mustBeTimed; });
  return options;
}

ConvolutionCandidates cudnnCandidates(CudnnHandle& handle, const ConvolutionProblem& problem, const CudnnWishes& wishes,
                                      std::vector<std::string>* refusals) {
  ConvolutionCandidates candidates;
  for (const ConvolutionOption& option : cudnnOptions(handle, problem, wishes, refusals)) {
    try {
      candidates.push_back(option.make());
    } catch (const Error& error) {
      refuse(refusals, option.name + ": " + error.what());
    }
  }
  return candidates;
}

}  // namespace resnode::cuda
