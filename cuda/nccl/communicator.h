// The processes that train one net together, a GPU each, by NCCL. They find each other by the communicator that started
// them (native/core/communicator.h); what their GPUs have to say goes between the GPUs, in the order of the compute stream.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/memory.h"
#include "cuda/nccl/library.h"
#include "native/core/communicator.h"

namespace resnode::cuda {

class NcclCommunicator {
 public:
  // Does nothing yet.
  NcclCommunicator(std::shared_ptr<Communicator> processes, std::shared_ptr<Device> device)
      : processes_(std::move(processes)), device_(std::move(device)), size_(processes_->size()) {}
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  int size() const { return size_; }

  // Enters NCCL's world; collective, once. Every process throws where one cannot: Error("communicator/unavailable") where
  // there is no NCCL or two processes have one GPU, Error("communicator/failed").
  void open();

  // What is averaged over all processes; `to` may be `from`.
  struct Values {
    const float* from;
    float* to;
    size_t count;
  };
  // Collective, in the stream's order, in a captured graph too. Throws Error("communicator/failed").
  void mean(const std::vector<Values>& arrays, cudaStream_t stream);

  // Looks for what went wrong since: a process that is gone, for one. Then what still runs is given up, so that nothing
  // waits for it, and this and all later calls throw Error("communicator/failed").
  void check();
  bool hasFailed() noexcept;
  // This process does not come to the end of a run that all of them make: what it has given NCCL is given up, and the others
  // are told, so that none waits for it. Nothing where it was over before.
  void leave(const std::string& why) noexcept;
  // Waits for an event behind which there may be a mean that never comes; throws as check().
  void await(const Event& event);

 private:
  void require(nccl::ncclResult_t status, const char* call);
  // Why another process has left, as it says; empty: none has.
  std::string farewell();
  void giveUp(const std::string& why);

  std::shared_ptr<Communicator> processes_;
  std::shared_ptr<Device> device_;
  int size_;
  std::shared_ptr<const NcclLibrary> library_;
  nccl::ncclComm_t communicator_ = nullptr;
  std::string failure_;
};

}  // namespace resnode::cuda
