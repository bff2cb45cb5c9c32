// A plan with memory: binds every call once, and runs the calls in order.
#pragma once

#include "native/core/backend-support.h"
#include "native/cpu/parameters.h"
#include "native/cpu/plan.h"

namespace resnode::cpu {

class CpuExecutable final : public Executable {
 public:
  CpuExecutable(std::shared_ptr<CpuPlan> plan, std::shared_ptr<CpuParameters> parameters,
                std::shared_ptr<OneDnn> oneDnn);
  std::unique_ptr<StartedRun> start(const RunRequest& request) override;
  float* inputPlace(size_t input) override;
  size_t arenaBytes() const override { return plan_->description().arena.bytes; }
  size_t workspaceBytes() const override { return 0; }  // scratch is part of the arena

 private:
  // Writes what a run left at `from` to its user, row-major.
  using Delivery = std::function<void(void* to)>;
  Delivery delivery(TensorId id) const;
  char* data(TensorId id) const { return buffers_[plan_->description().tensorBuffers[id]]; }
  void* address(const Place& place) const;
  float* inputValues(size_t i) const { return reinterpret_cast<float*>(data(plan_->program().inputs[i])); }

  std::shared_ptr<CpuPlan> plan_;
  std::shared_ptr<CpuParameters> parameters_;
  std::shared_ptr<OneDnn> oneDnn_;
  AlignedBytes arena_;
  std::vector<char*> buffers_;
  std::vector<std::vector<Work>> steps_;
  std::vector<Delivery> deliveries_;
};

}  // namespace resnode::cpu
