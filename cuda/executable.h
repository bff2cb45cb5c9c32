// A plan with memory. Its first run launches every step directly; later runs launch one CUDA graph.
//
// A run copies arrays to a slot's pinned memory, and on the upload stream to the slot's buffers on the GPU. On the
// compute stream, it converts these, or the caller's buffers, to the input tensors. The graph then runs every step and
// converts outputs to row-major float32, which go to pinned memory and to the caller. There are two slots, so that the
// next run's inputs are uploaded while this one computes. Activations exist once, because the compute stream keeps the
// order.
#pragma once

#include <memory>
#include <vector>

#include "cuda/buffer.h"
#include "cuda/capture.h"
#include "cuda/plan.h"

namespace resnode::cuda {

class CudaExecutable final : public Executable, public std::enable_shared_from_this<CudaExecutable> {
 public:
  CudaExecutable(std::shared_ptr<Transfer> transfer, std::shared_ptr<CudaPlan> plan,
                 std::shared_ptr<CudaParameters> parameters);

  std::unique_ptr<StartedRun> start(const RunRequest& request) override;
  size_t arenaBytes() const override { return arena_.bytes(); }
  size_t workspaceBytes() const override { return 0; }  // workspaces are part of the arena
  size_t hostBytes() const override { return heldPinnedBytes_; }
  size_t pinnedBytes() const override { return heldPinnedBytes_; }

 private:
  class Run;
  struct Slot {
    PinnedMemory inputs, results;  // as large as the largest run so far needed
    std::vector<char*> outputs;    // of this run, in `results`; null: the output goes to a buffer
    const int* checks = nullptr;   // the run's checks, also in `results`
    Event uploaded, finished;
    bool busy = false;
  };
  struct BoundStep {
    Bindings bindings;
    std::vector<LaunchFunction> before, after;  // conversions
  };

  void bind(const PlannedStep& planned);
  // The launch of a conversion. `tensor` is the one that the bound step reads or writes.
  LaunchFunction converting(const Conversion& conversion, TensorId tensor, const void* source, void* target);
  int* check(int number) const { return reinterpret_cast<int*>(buffer(plan_->checkBuffer())) + number; }
  char* buffer(int index) const { return buffers_[index]; }
  char* data(TensorId id) const { return buffer(plan_->bufferOf(id)); }
  int freeSlot();
  // Returns at least this many bytes of one of a slot's memories, while no run uses it.
  char* pinned(PinnedMemory& memory, size_t bytes);
  void upload(const RunRequest& request, int slot);
  // Converts the staged inputs, or the caller's buffers, to the input tensors.
  void convertInputs(const RunRequest& request, int slot);
  void enqueue(const RunRequest& request);
  void download(const RunRequest& request, Slot& slot);
  // Launches everything from the input tensors to row-major outputs. With `request` it checks for cancellation between
  // steps. With `events` it records one before each step and one after the last.
  void launchAll(const RunRequest* request, std::vector<Event>* events);
  void deliver(const RunRequest& request, int slot);

  std::shared_ptr<Transfer> transfer_;
  std::shared_ptr<Device> device_;
  std::shared_ptr<CudaPlan> plan_;
  std::shared_ptr<CudaParameters> parameters_;
  DeviceMemory arena_;
  std::vector<char*> buffers_;
  std::vector<BoundStep> steps_;
  // What an entry of the check buffer refers to: an operation's labels, or a tensor that was quantized.
  struct Check {
    int operation = -1;
    int64_t classes = 0;
    TensorId tensor = -1;
  };
  std::vector<Check> checks_;
  std::unique_ptr<Slot> slots_[kSlots];  // created at first use
  bool isWarm_ = false;                  // it ran directly once, so everything that a first launch loads is loaded
  // Null: not captured yet. Empty: destroyed, because the processes lost each other.
  std::shared_ptr<GraphExecutable> graph_;
  std::atomic<size_t> heldPinnedBytes_{0};  // of all slots
};

}  // namespace resnode::cuda
