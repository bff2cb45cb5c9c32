// A program with a step for every operation: its calls, their layouts and their buffers.
#pragma once

#include <map>
#include <memory>

#include "native/core/backend-support.h"
#include "native/cpu/int8.h"
#include "native/cpu/step.h"
#include "native/cpu/thread-pool.h"
#include "native/cpu/tile-bfloat16.h"
#include "native/cpu/tile-int8.h"
#include "native/cpu/tile-matrix.h"
#include "native/cpu/upcoming.h"

namespace resnode::cpu {

class ConvolutionChoice;

// The state of the plan while steps are chosen, one operation after the other.
struct PlanState {
  std::shared_ptr<const Program> program;
  std::shared_ptr<OneDnn> oneDnn;
  ThreadPool* pool = nullptr;                // null: OpenMP's threads, and convolutions by oneDNN
  const TileKernels* kernels = nullptr;      // null: this processor has none, or oneDNN was requested
  const Int8Kernels* int8Kernels = nullptr;  // null: oneDNN computes int8
  bool winograd = true;
  ConvolutionChoice* choice = nullptr;               // null: nothing is measured, a rule decides
  const std::vector<Pack>* like = nullptr;           // of a plan for other shapes, to be shared by this one; null: none
  Quantization quantization;                         // empty: no int8
  const Bfloat16Kernels* bfloat16Kernels = nullptr;  // null: feature maps are float32 or 8-bit integers
  const MatrixKernels* matrixKernels = nullptr;      // null: tiles multiply int8 and bfloat16

  std::vector<Lifetime> lifetimes;   // per tensor
  std::vector<Layout> layouts;       // per tensor, as the operation that makes it leaves it
  std::vector<Layout> plainLayouts;  // per tensor, row-major with the same dimensions
  std::vector<Quantized> quantized;  // per tensor, for where int8 is read or written
  std::vector<bool> isMap;           // per tensor: is bfloat16; empty if that is not requested
  // Per buffer: an input or output of the program, which must not be overwritten.
  std::vector<bool> isPinned;
  std::vector<std::optional<Pack>> masters;  // per mutable parameter in use
  // Per parameter: shared by operations that see it with different dimensions.
  std::vector<bool> isShared;
  bool isTraining = false;      // there are gradients
  std::vector<int> gradientOf;  // per operation: the last gradient that differentiates it, −1
  std::vector<Pack> packs;
  // What a pooling keeps for its gradient, by operation.
  struct Kept {
    Place place;  // of the workspace
    Layout source, result, workspace;
  };
  std::map<int, Kept> kept;
  std::map<int, int> leftTo;           // operation → an earlier one that its step computes
  std::shared_ptr<Upcoming> upcoming;  // what the last call that prefetches weights does not know yet; null: none did
  PlanDescription description;
};

class CpuPlan final : public Plan {
 public:
  CpuPlan(std::shared_ptr<const Program> program, std::shared_ptr<OneDnn> oneDnn, ThreadPool& pool,
          const TileKernels* kernels, const Int8Kernels* int8Kernels, bool winograd,
          ConvolutionChoice* choice = nullptr, const CpuPlan* like = nullptr, Quantization quantization = {},
          const Bfloat16Kernels* bfloat16Kernels = nullptr, const MatrixKernels* matrixKernels = nullptr);
  const Program& program() const override { return *original_; }
  const PlanDescription& description() const override { return state_.description; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Pack>& packs() const { return state_.packs; }
  // For mutable parameters.
  const std::vector<std::optional<Pack>>& masters() const { return state_.masters; }
  const Layout& layout(TensorId id) const { return state_.layouts[id]; }
  const Layout& plain(TensorId id) const { return state_.plainLayouts[id]; }
  ThreadPool* pool() const { return state_.pool; }

 private:
  std::shared_ptr<const Program> original_;
  PlanState state_;
  std::vector<Step> steps_;
};

}  // namespace resnode::cpu
