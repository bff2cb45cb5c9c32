// A program with a step for every operation: which calls, on which layouts, in which buffers.
#pragma once

#include <map>
#include <memory>

#include "native/core/backend-support.h"
#include "native/cpu/int8.h"
#include "native/cpu/step.h"
#include "native/cpu/thread-pool.h"
#include "native/cpu/tile-bfloat16.h"
#include "native/cpu/tile-int8.h"
#include "native/cpu/upcoming.h"

namespace resnode::cpu {

class ConvolutionChoice;

// What is known of the plan while its steps are chosen, one operation after the other.
struct PlanState {
  std::shared_ptr<const Program> program;
  std::shared_ptr<OneDnn> oneDnn;
  ThreadPool* pool = nullptr;                // null: OpenMP's threads, and convolutions by oneDNN
  const TileKernels* kernels = nullptr;      // null: this processor has none, or oneDNN was asked for
  const Int8Kernels* int8Kernels = nullptr;  // null: int8 is oneDNN's
  bool winograd = true;
  ConvolutionChoice* choice = nullptr;      // null: nothing is measured, a rule decides
  const std::vector<Pack>* like = nullptr;  // of a plan for other shapes, which this one shall share; null: none
  Quantization quantization;                // empty: no int8
  const Bfloat16Kernels* bfloat16Kernels = nullptr;  // null: feature maps are float32, or 8-bit integers

  std::vector<Lifetime> lifetimes;           // per tensor
  std::vector<Layout> layouts;               // per tensor, as its maker leaves it
  std::vector<Layout> plainLayouts;          // per tensor, row-major in the same dimensions
  std::vector<Quantized> quantized;          // per tensor, as it is where int8 is read or made
  std::vector<bool> isMap;                   // per tensor: is bfloat16; empty where that is not asked for
  std::vector<bool> isPinned;                // per buffer: a program's input or output, not to be written over
  std::vector<std::optional<Pack>> masters;  // per mutable parameter that was used
  std::vector<bool> isShared;                // per parameter: by operations that see it in different dimensions
  bool isTraining = false;                   // there are gradients
  std::vector<int> gradientOf;               // per operation: the last gradient that differentiates it, −1
  std::vector<Pack> packs;
  // What a pooling remembers for its gradient, by operation.
  struct Kept {
    Place place;  // of the workspace
    Layout source, result, workspace;
  };
  std::map<int, Kept> kept;
  std::map<int, int> leftTo;  // operation → one before it that is computed in its step
  std::shared_ptr<Upcoming>
      upcoming;  // what the last call that fetches weights ahead does not know yet; null: none did
  PlanDescription description;
};

class CpuPlan final : public Plan {
 public:
  CpuPlan(std::shared_ptr<const Program> program, std::shared_ptr<OneDnn> oneDnn, ThreadPool& pool,
          const TileKernels* kernels, const Int8Kernels* int8Kernels, bool winograd,
          ConvolutionChoice* choice = nullptr, const CpuPlan* like = nullptr, Quantization quantization = {},
          const Bfloat16Kernels* bfloat16Kernels = nullptr);
  const Program& program() const override { return *original_; }
  const PlanDescription& description() const override { return state_.description; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Pack>& packs() const { return state_.packs; }
  // Of mutable parameters.
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
