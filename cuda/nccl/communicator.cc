#include "cuda/nccl/communicator.h"

#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "native/core/backend-support.h"
#include "native/core/error.h"

namespace resnode::cuda {
namespace {

// Every process sends this to all others before it calls NCCL, which would wait forever for a process that cannot join.
struct Introduction {
  int version = 0;             // of NCCL; 0: not found
  unsigned char gpu[16] = {};  // its UUID
  nccl::ncclUniqueId world{};  // the first process's is used
};

std::string processName(size_t rank) { return "process " + std::to_string(rank); }

Introduction introductionOf(const NcclLibrary* library, const Device& device, int rank) {
  Introduction self;
  cudaDeviceProp properties{};
  RESNODE_CUDA(cudaGetDeviceProperties(&properties, device.ordinal()));
  static_assert(sizeof self.gpu == sizeof properties.uuid.bytes);
  std::memcpy(self.gpu, properties.uuid.bytes, sizeof self.gpu);
  if (!library) return self;
  self.version = library->version;
  if (rank == 0 && library->call.ncclGetUniqueId(&self.world) != nccl::ncclSuccess) self.version = 0;
  return self;
}

std::vector<Introduction> introduce(const Introduction& self, Communicator& processes) {
  std::vector<unsigned char> bytes(sizeof self);
  std::memcpy(bytes.data(), &self, sizeof self);
  std::vector<Introduction> all;
  for (const std::vector<unsigned char>& said : processes.gather(bytes)) {
    all.emplace_back();
    std::memcpy(&all.back(), said.data(), sizeof(Introduction));
  }
  return all;
}

void requireNcclEverywhere(const std::vector<Introduction>& all, size_t rank) {
  if (all[rank].version == 0) {
    const NcclLookup& lookup = ncclOfThisProcess();
    if (lookup.library)
      throw Error("communicator/failed",
                  std::string("ncclGetUniqueId failed: ") + lookup.library->call.ncclGetLastError(nullptr));
    throw Error(
        "communicator/unavailable",
        std::string(
            "Training with several processes on CUDA devices needs NCCL, which was not found. To install it: ") +
            installCommand(LibraryEnvironment::ofThisProcess(), "nccl") + ". Tried:" + lookup.tried);
  }
  for (size_t other = 0; other < all.size(); ++other) {
    if (all[other].version == 0)
      throw Error("communicator/unavailable", "NCCL is missing in " + processName(other) + "; see its message");
  }
}

// NCCL would also refuse this, but with a less helpful message.
void requireGpuEach(const std::vector<Introduction>& all, const Device& device, size_t rank) {
  for (size_t one = 0; one < all.size(); ++one) {
    for (size_t other = one + 1; other < all.size(); ++other) {
      if (std::memcmp(all[one].gpu, all[other].gpu, sizeof all[one].gpu) != 0) continue;
      const std::string gpu = rank == one || rank == other ? device.name() : "the same GPU";
      throw Error(
          "communicator/unavailable",
          "Processes " + std::to_string(one) + " and " + std::to_string(other) + " both have " + gpu +
              ", and each needs its own. Start no more processes on a machine than it has GPUs, and let each use "
              "the one with its local rank: --device cuda, or --gpu 0,1");
    }
  }
}

}  // namespace

NcclCommunicator::~NcclCommunicator() {
  if (!communicator_) return;
  device_->during([this] {
    // ncclCommDestroy may wait for the other processes, so not after a failure.
    nccl::ncclResult_t state = nccl::ncclSuccess;
    const bool isSound = !device_->isLost() &&
                         library_->call.ncclCommGetAsyncError(communicator_, &state) == nccl::ncclSuccess &&
                         state == nccl::ncclSuccess;
    if (isSound) library_->call.ncclCommDestroy(communicator_);
    else library_->call.ncclCommAbort(communicator_);
  });
}

void NcclCommunicator::open() {
  check();
  if (communicator_) return;
  library_ = ncclOfThisProcess().library;
  const auto rank = static_cast<size_t>(processes_->rank());
  const std::vector<Introduction> all =
      introduce(introductionOf(library_.get(), *device_, processes_->rank()), *processes_);
  while (!farewell().empty()) {}  // messages of an earlier NCCL communicator; all processes have reached this one
  requireNcclEverywhere(all, rank);
  requireGpuEach(all, *device_, rank);
  nccl::ncclComm_t made = nullptr;  // undefined after a failure
  require(library_->call.ncclCommInitRank(&made, size_, all[0].world, processes_->rank()), "ncclCommInitRank");
  communicator_ = made;
}

void NcclCommunicator::mean(const std::vector<Values>& arrays, cudaStream_t stream) {
  requireUnfailed();  // not check(), because a communicator cannot be aborted while a capture refers to it
  // NCCL turns a group into few launches, however many arrays there are.
  require(library_->call.ncclGroupStart(), "ncclGroupStart");
  nccl::ncclResult_t status = nccl::ncclSuccess;
  for (const Values& each : arrays) {
    if (each.count == 0 || status != nccl::ncclSuccess) continue;
    status = library_->call.ncclAllReduce(each.from, each.to, each.count, nccl::ncclFloat32, nccl::ncclAvg,
                                          communicator_, stream);
  }
  const nccl::ncclResult_t ended = library_->call.ncclGroupEnd();
  require(status, "ncclAllReduce");
  require(ended, "ncclGroupEnd");
}

void NcclCommunicator::require(nccl::ncclResult_t status, const char* call) {
  if (status == nccl::ncclSuccess) return;
  std::string message =
      std::string(call) + " failed on " + device_->name() + ": " + library_->call.ncclGetErrorString(status);
  const char* more = library_->call.ncclGetLastError(communicator_);
  if (more && *more) message += std::string(" (") + more + ")";
  throw Error("communicator/failed", message + ". NCCL_DEBUG=INFO makes NCCL say more");
}

std::string NcclCommunicator::farewell() {
  for (int other = 0; other < size_; ++other) {
    if (other == processes_->rank() || !processes_->hasMessage(other)) continue;
    const std::vector<unsigned char> why = processes_->receive(other);
    return processName(static_cast<size_t>(other)) + " left a pass: " + std::string(why.begin(), why.end());
  }
  return {};
}

void NcclCommunicator::giveUp(const std::string& why) {
  failure_ = "The processes that train with " + device_->name() + " lost each other: " + why +
             ". Resume from the last snapshot, in new processes";
  // NCCL's abort waits until no graph refers to the communicator
  // (https://docs.nvidia.com/dl-cuda-graph/latest/troubleshooting/process-hang.html). One that is running is freed once it
  // is complete.
  for (const std::weak_ptr<GraphExecutable>& graph : graphs_) {
    if (const auto held = graph.lock()) *held = {};
  }
  graphs_.clear();
  const nccl::ncclComm_t communicator = std::exchange(communicator_, nullptr);
  library_->call.ncclCommAbort(communicator);  // ends its kernels on the GPU
}

void NcclCommunicator::leave(const std::string& why) noexcept {
  if (!communicator_) return;
  for (int other = 0; other < size_; ++other) {
    try {
      if (other != processes_->rank()) processes_->send(other, {why.begin(), why.end()});
    } catch (const Error&) {  // the other process is gone
    }
  }
  giveUp("this process left a pass: " + why);
}

void NcclCommunicator::check() {
  if (communicator_) {
    // The process's own message comes first, because NCCL may also notice that it left.
    std::string why = farewell();
    if (why.empty()) {
      nccl::ncclResult_t state = nccl::ncclSuccess;
      const nccl::ncclResult_t asked = library_->call.ncclCommGetAsyncError(communicator_, &state);
      if (asked != nccl::ncclSuccess) state = asked;
      if (state != nccl::ncclSuccess && state != nccl::ncclInProgress) {
        const char* more = library_->call.ncclGetLastError(communicator_);
        why = library_->call.ncclGetErrorString(state) + (more && *more ? std::string(" (") + more + ")" : "") +
              ". A process or its connection has ended; see its own messages";
      }
    }
    if (!why.empty()) giveUp(why);
  }
  requireUnfailed();
}

void NcclCommunicator::requireUnfailed() const {
  if (!failure_.empty()) throw Error("communicator/failed", failure_);
}

bool NcclCommunicator::hasFailed() noexcept {
  try {
    check();
  } catch (const Error&) {
    return true;
  }
  return false;
}

void NcclCommunicator::await(const Event& event) {
  const Stopwatch watch;
  while (!event.isDone()) {
    check();
    // Polls as the device thread does (native/device/device-thread.cc).
    if (watch.milliseconds() > 2) std::this_thread::sleep_for(std::chrono::microseconds(50));
    else std::this_thread::yield();
  }
}

}  // namespace resnode::cuda
