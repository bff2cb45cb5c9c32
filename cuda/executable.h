// A plan with memory: runs it directly the first time, from then on as one CUDA graph.
//
// A run: arrays → a slot's pinned memory → (upload stream) the slot's place on the GPU → (compute stream) the input tensors,
// which are converted from there or from the caller's buffers → (the graph) every step, outputs as plain float32 → pinned
// memory → the caller. Two slots, so that the next run's inputs travel while this one computes; what is in between exists
// once, since the compute stream is in order.
#pragma once

#include <memory>
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
  struct Slot {
    PinnedMemory inputs, results;  // as large as the largest that a run gave or wanted so far
    std::vector<char*> outputs;    // of this run, in `results`; null: a buffer takes it
    const int* checks = nullptr;   // as well
    Event uploaded, finished;
    bool busy = false;
  };
  struct BoundStep {
    Bindings bindings;
    std::vector<LaunchFunction> before, after;  // conversions
  };

  void bind(const PlannedStep& planned);
  // Launches what a conversion does. `tensor` is made by or for the step that is bound.
  LaunchFunction converting(const Conversion& conversion, TensorId tensor, const void* source, void* target);
  int* check(int number) const { return reinterpret_cast<int*>(buffer(plan_->checkBuffer())) + number; }
  char* buffer(int index) const { return buffers_[index]; }
  char* data(TensorId id) const { return buffer(plan_->bufferOf(id)); }
  int freeSlot();
  // At least so many bytes in one of a slot's memories, which nothing uses.
  char* pinned(PinnedMemory& memory, size_t bytes);
  void upload(const RunRequest& request, int slot);
  // From where they came to their places among the activations.
  void convertInputs(const RunRequest& request, int slot);
  void enqueue(const RunRequest& request);
  void download(const RunRequest& request, Slot& slot);
  // Launches everything from the input tensors to plain outputs; with `request`, cancellation is looked for between steps,
  // with `events`, one is recorded before each step and after the last.
  void launchAll(const RunRequest* request, std::vector<Event>* events);
  void capture();
  void deliver(const RunRequest& request, int slot);

  std::shared_ptr<Transfer> transfer_;
  std::shared_ptr<Device> device_;
  std::shared_ptr<CudaPlan> plan_;
  std::shared_ptr<CudaParameters> parameters_;
  DeviceMemory arena_;
  std::vector<char*> buffers_;
  std::vector<BoundStep> steps_;
  // What a number of the check buffer is about: an operation's labels, or a tensor that became integers.
  struct Check {
    int operation = -1;
    int64_t classes = 0;
    TensorId tensor = -1;
  };
  std::vector<Check> checks_;
  std::unique_ptr<Slot> slots_[kSlots];  // made at first use
  bool isWarm_ = false;                  // ran directly once: what a first launch loads is there
  GraphExecutable graph_;
  std::atomic<size_t> heldPinnedBytes_{0};  // of all slots
};

}  // namespace resnode::cuda
