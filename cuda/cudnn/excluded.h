// The engines that we refuse because of cuDNN's notes on them, and why. Nothing else filters engines.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "cuda/convolution/problem.h"
#include "cuda/cudnn/library.h"

namespace resnode::cuda {

struct EngineNotes {
  std::vector<cudnn::cudnnBackendNumericalNote_t> numerical;
  std::vector<cudnn::cudnnBackendBehaviorNote_t> behaviour;

  bool has(cudnn::cudnnBackendNumericalNote_t note) const {
    return std::find(numerical.begin(), numerical.end(), note) != numerical.end();
  }
  bool has(cudnn::cudnnBackendBehaviorNote_t note) const {
    return std::find(behaviour.begin(), behaviour.end(), note) != behaviour.end();
  }
};

// The note and the reason, or an empty string if the engine may be used.
inline std::string exclusionOf(const EngineNotes& notes, const ConvolutionProblem& problem, bool deterministic,
                               const CudnnLibrary& library) {
  using namespace cudnn;
  const bool trueFloat32 = problem.type == ElementType::float32 && !problem.tf32;
  const bool narrow = problem.type != ElementType::float32 || problem.tf32;
  struct Rule {
    bool applies;
    cudnnBackendNumericalNote_t note;
    const char* reason;
  };
  const Rule rules[] = {
      {deterministic, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, "deterministic results were asked for"},
      {true, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, "precision is asked for by name, never lowered"},
      {true, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, "sums are float32 always"},
      {trueFloat32, CUDNN_NUMERICAL_NOTE_TENSOR_CORE, "on float32 data it means tf32, which was not asked for"},
      {true, CUDNN_NUMERICAL_NOTE_FFT, "its error follows the largest value of a tile, not the result's"},
      {narrow, CUDNN_NUMERICAL_NOTE_WINOGRAD,
       "its transforms cancel digits that 16-bit and tf32 do not have (Lavin & Gray, arXiv:1509.09308)"},
      {!problem.winograd, CUDNN_NUMERICAL_NOTE_WINOGRAD, "with other roundings it is not Caffe's training"},
      {true, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6, "larger tiles lose more than 1e-5 in float32"},
      {true, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13, "larger tiles lose more than 1e-5 in float32"},
  };
  for (const Rule& rule : rules) {
    if (rule.applies && notes.has(rule.note)) return std::string(nameOf(rule.note)) + ": " + rule.reason;
  }
  struct BehaviourRule {
    bool applies;
    cudnnBackendBehaviorNote_t note;
    const char* reason;
  };
  const BehaviourRule behaviourRules[] = {
      {true, CUDNN_BEHAVIOR_NOTE_REQUIRES_FILTER_INT8x32_REORDER, "weights are not stored so"},
      {true, CUDNN_BEHAVIOR_NOTE_REQUIRES_BIAS_INT8x32_REORDER, "biases are not stored so"},
      {!library.hasNvrtc, CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION, "libnvrtc was not found"},
  };
  for (const BehaviourRule& rule : behaviourRules) {
    if (rule.applies && notes.has(rule.note)) return std::string(nameOf(rule.note)) + ": " + rule.reason;
  }
  return {};
}

}  // namespace resnode::cuda
