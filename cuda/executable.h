// A plan with memory: runs it directly the first time, from then on as one CUDA graph.
//
// A run: inputs → a slot's pinned memory → (upload stream) the slot's place on the GPU → (compute stream, the graph from
// here) the input tensors, every step, outputs as plain float32 → pinned memory → the caller. Two slots, so that the
// next run's inputs travel while this one computes; what is in between exists once, since the compute stream is in order.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "cuda/buffer.h"
#include "cuda/plan.h"

namespace resnode::cuda {

class CudaExecutable final : public Executable, public std::enable_shared_from_this<CudaExecutable> {
 public:
  CudaExecutable(std::shared_ptr<Transfer> transfer, std::shared_ptr<CudaPlan> plan,
                 std::shared_ptr<CudaParameters> parameters);

  std::unique_ptr<StartedRun> start(const RunRequest& request) override;
  size_t arenaBytes() const override { return arena_.bytes(); }
  size_t workspaceBytes() const override { return 0; }  // workspaces lie in the arena
  size_t hostBytes() const override { return heldPinnedBytes_; }
  size_t pinnedBytes() const override { return heldPinnedBytes_; }

 private:
  class Run;
  // Of each input, whether it is uint8.
  using InputTypes = std::vector<bool>;
  struct Slot {
    explicit Slot(const std::shared_ptr<Device>& device, size_t bytes) : pinned(allocatePinned(device, bytes)) {}
    PinnedMemory pinned;  // inputs, outputs, label checks
    Event uploaded, finished;
    bool busy = false;
  };
  struct BoundStep {
    Bindings bindings;
    std::vector<LaunchFunction> before;  // conversions
  };

  void bind(const PlannedStep& planned);
  char* buffer(int index) const { return buffers_[index]; }
  char* data(TensorId id) const { return buffer(plan_->bufferOf(id)); }
  int freeSlot();
  void upload(const RunRequest& request, int slot);
  void enqueue(const RunRequest& request, int slot);
  void download(const RunRequest& request, int slot);
  // Launches everything from staging to plain outputs; with `request`, cancellation is looked for between steps, with
  // `events`, one is recorded before each step and after the last.
  void launchAll(const InputTypes& types, int slot, const RunRequest* request, std::vector<Event>* events);
  cudaGraphExec_t capture(const InputTypes& types, int slot);
  void deliver(const RunRequest& request, int slot);

  std::shared_ptr<Transfer> transfer_;
  std::shared_ptr<Device> device_;
  std::shared_ptr<CudaPlan> plan_;
  std::shared_ptr<CudaParameters> parameters_;
  DeviceMemory arena_;
  std::vector<char*> buffers_;
  std::vector<BoundStep> steps_;
  std::vector<std::pair<int64_t, int>> labelChecks_;  // classes, operation
  std::vector<size_t> pinnedInputs_, pinnedOutputs_;  // offsets in a slot's pinned memory
  size_t pinnedLabels_ = 0, pinnedBytes_ = 0;
  std::unique_ptr<Slot> slots_[kSlots];  // made at first use
  std::set<InputTypes> warm_;            // ran directly once: what a first launch loads is there
  std::map<std::pair<int, InputTypes>, GraphExecutable> graphs_;
  std::atomic<size_t> heldPinnedBytes_{0};  // of all slots
};

}  // namespace resnode::cuda
