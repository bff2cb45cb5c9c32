// The processes that train one net together by NCCL, one GPU each. They find each other through the communicator that
// started them (native/core/communicator.h). GPUs then exchange data directly, in the order of the compute stream.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/capture.h"
#include "cuda/memory.h"
#include "cuda/nccl/library.h"
#include "native/core/communicator.h"

namespace resnode::cuda {

class NcclCommunicator {
 public:
  // Does not communicate yet.
  NcclCommunicator(std::shared_ptr<Communicator> processes, std::shared_ptr<Device> device)
      : processes_(std::move(processes)), device_(std::move(device)), size_(processes_->size()) {}
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  int size() const { return size_; }

  // Creates NCCL's communicator, collectively, in the first call. If one process cannot join, all throw:
  // Error("communicator/unavailable") if NCCL is missing or two processes share a GPU, Error("communicator/failed")
  // otherwise. Later calls are check().
  void open();

  // An array to average over all processes; `to` may be `from`.
  struct Values {
    const float* from;
    float* to;
    size_t count;
  };
  // Collective. Runs in the stream's order, also in a captured graph. Throws Error("communicator/failed").
  void mean(const std::vector<Values>& arrays, cudaStream_t stream);
  // To be called with each graph into which mean() was captured. After a failure it is destroyed.
  void usedIn(const std::shared_ptr<GraphExecutable>& graph) { graphs_.push_back(graph); }

  // Looks for failures since the last call, such as a process that is gone. After one, running operations are aborted
  // so that nothing waits for them, and this and all later calls throw Error("communicator/failed").
  void check();
  bool hasFailed() noexcept;
  // Called if this process cannot finish a run in which all take part. Aborts its NCCL operations and tells the others,
  // so that none waits for it. Does nothing if communication has ended before.
  void leave(const std::string& why) noexcept;
  // Waits for an event that may follow a mean that never completes; throws as check() does.
  void await(const Event& event);

 private:
  void require(nccl::ncclResult_t status, const char* call);
  // Throws if an earlier call has failed.
  void requireUnfailed() const;
  // The reason that another process gave when it left; empty: none has.
  std::string farewell();
  void giveUp(const std::string& why);

  std::shared_ptr<Communicator> processes_;
  std::shared_ptr<Device> device_;
  int size_;
  std::shared_ptr<const NcclLibrary> library_;
  nccl::ncclComm_t communicator_ = nullptr;
  std::vector<std::weak_ptr<GraphExecutable>> graphs_;
  std::string failure_;
};

}  // namespace resnode::cuda
