// A libnccl.so.2 for tests, between processes of one machine with emulated GPUs. It strictly checks what NCCL's
// documentation requires of callers. It averages in the order of ranks, in shared memory, when the stream reaches it.
//   RESNODE_FAKE_NCCL_LOSE=n  from its n-th all-reduce on, a process sees another one as lost: none completes until the
//                             communicator is aborted
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cuda/nccl/api.h"
#include "test/cuda/emulator/runtime/state.h"

using namespace resnode::cuda::nccl;

namespace {

constexpr int kMostRanks = 8;
constexpr size_t kMostValues = size_t{1} << 20;
constexpr char kMagic[] = "fake nccl ";

// Memory that the processes share; initially zeros.
struct Board {
  struct Rank {
    std::atomic<bool> joined;
    // The number of all-reduces for which it has given its values, and taken the result.
    std::atomic<uint64_t> given, taken;
    size_t count;
    float values[kMostValues];
  };
  std::atomic<int> joined;
  Rank ranks[kMostRanks];
};

thread_local std::string lastError;
ncclResult_t refuse(ncclResult_t status, const std::string& why) {
  lastError = "fake NCCL: " + why;
  return status;
}

Board* openBoard(const char* name, bool create) {
  const int file = shm_open(name, O_RDWR | (create ? O_CREAT | O_EXCL : 0), 0600);
  if (file < 0 || (create && ftruncate(file, sizeof(Board)) != 0)) return nullptr;
  void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<Board*>(memory);
}

// Removed with the process that made it; other processes keep what they have open.
struct OwnBoards {
  std::vector<std::string> names;
  ~OwnBoards() {
    for (const std::string& name : names) shm_unlink(name.c_str());
  }
};

struct AllReduce {
  const float* from;
  float* to;
  size_t count;
  cudaStream_t stream;
  bool given = false;
};

}  // namespace

// A communicator must not be destroyed while a graph or a stream still has work for it: `inUse`.
struct resnode::cuda::nccl::ncclComm {
  Board* board = nullptr;
  int rank = 0, size = 1;
  uint64_t number = 1;  // of the next all-reduce
  std::atomic<bool> isLost{false}, isAborted{false};
  std::atomic<ncclResult_t> asyncError{ncclSuccess};
  std::shared_ptr<int> inUse = std::make_shared<int>(0);

  template <class Count>
  bool all(Count count, uint64_t least) const {
    for (int r = 0; r < size; ++r) {
      if (count(board->ranks[r]).load() < least) return false;
    }
    return true;
  }

  // Returns whether it is done.
  bool advance(AllReduce& work) {
    const char* lose = std::getenv("RESNODE_FAKE_NCCL_LOSE");
    if (lose && number >= std::strtoull(lose, nullptr, 10)) {
      isLost = true;
      asyncError = ncclRemoteError;
    }
    if (isAborted) return true;
    if (isLost) return false;
    Board::Rank& own = board->ranks[rank];
    if (!work.given) {
      if (!all([](Board::Rank& r) -> auto& { return r.taken; }, number - 1)) return false;
      std::memcpy(own.values, work.from, work.count * sizeof(float));
      own.count = work.count;
      own.given = number;
      work.given = true;
    }
    if (!all([](Board::Rank& r) -> auto& { return r.given; }, number)) return false;
    for (int r = 0; r < size; ++r) {
      if (board->ranks[r].count != work.count) asyncError = ncclInvalidUsage;
    }
    for (size_t i = 0; i < work.count; ++i) {
      float sum = 0;
      for (int r = 0; r < size; ++r) sum += board->ranks[r].values[i];
      work.to[i] = sum / static_cast<float>(size);
    }
    own.taken = number++;
    work.given = false;
    return true;
  }
};

namespace {

thread_local int groups = 0;
thread_local std::vector<std::pair<ncclComm_t, AllReduce>> grouped;

ncclResult_t enqueueGrouped() {
  const auto all = std::move(grouped);
  grouped.clear();
  for (const auto& [comm, each] : all) {
    const auto work = std::make_shared<AllReduce>(each);
    const cudaError_t status = resnode::emulator::enqueueUntilDone(
        each.stream, [comm = comm, work, inUse = comm->inUse] { return comm->advance(*work); });
    if (status != cudaSuccess) return refuse(ncclResult_t{1}, "the stream does not take it");
  }
  return ncclSuccess;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API ncclResult_t ncclGetVersion(int* version) {
  *version = 22304;
  return ncclSuccess;
}

API ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static OwnBoards own;
  std::snprintf(id->internal, sizeof id->internal, "%s/resnode-%d-%zu", kMagic, static_cast<int>(getpid()),
                own.names.size());
  own.names.emplace_back(id->internal + sizeof kMagic - 1);
  return openBoard(own.names.back().c_str(), true) ? ncclSuccess : refuse(ncclResult_t{2}, "no shared memory");
}

API ncclResult_t ncclCommInitRank(ncclComm_t* result, int size, ncclUniqueId id, int rank) {
  if (std::strncmp(id.internal, kMagic, sizeof kMagic - 1) != 0)
    return refuse(ncclInvalidArgument, "this is no unique id");
  if (size < 1 || size > kMostRanks || rank < 0 || rank >= size) return refuse(ncclInvalidArgument, "no such rank");
  auto comm = std::make_unique<ncclComm>();
  comm->board = openBoard(id.internal + sizeof kMagic - 1, false);
  comm->rank = rank;
  comm->size = size;
  if (!comm->board) return refuse(ncclInvalidArgument, "this id is nobody's");
  if (comm->board->ranks[rank].joined.exchange(true)) return refuse(ncclInvalidUsage, "this rank has come before");
  ++comm->board->joined;
  for (int waited = 0; comm->board->joined < size; ++waited) {
    if (waited > 60'000) return refuse(ncclRemoteError, "the others do not come");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  *result = comm.release();
  return ncclSuccess;
}

API ncclResult_t ncclCommAbort(ncclComm_t comm) {
  comm->isAborted = true;
  const bool isIdle = resnode::emulator::awaitDevice() == cudaSuccess;  // else the device is lost
  if (isIdle && comm->inUse.use_count() > 1) {
    std::fputs("fake NCCL: an abort waits forever for the graphs that use the communicator\n", stderr);
    std::abort();
  }
  return ncclSuccess;  // leaked, because streams may still reach its work
}

API ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (comm->inUse.use_count() > 1) {
    std::fputs("fake NCCL: a communicator is destroyed before the graphs that use it\n", stderr);
    std::abort();
  }
  munmap(comm->board, sizeof(Board));
  delete comm;
  return ncclSuccess;
}

API ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  *error = comm->asyncError;
  if (*error != ncclSuccess) refuse(*error, comm->isLost ? "a process is gone" : "counts differ");
  return ncclSuccess;
}

API const char* ncclGetErrorString(ncclResult_t status) {
  return status == ncclRemoteError ? "remote process exited" : "an error";
}
API const char* ncclGetLastError(ncclComm_t) { return lastError.c_str(); }

API ncclResult_t ncclGroupStart() {
  ++groups;
  return ncclSuccess;
}

API ncclResult_t ncclGroupEnd() {
  if (groups == 0) return refuse(ncclInvalidUsage, "no group was started");
  return --groups == 0 ? enqueueGrouped() : ncclSuccess;
}

API ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                               ncclComm_t comm, cudaStream_t stream) {
  if (!comm || comm->isAborted) return refuse(ncclInvalidArgument, "no communicator");
  if (type != ncclFloat32 || operation != ncclAvg)
    return refuse(ncclInvalidArgument, "only averages of float32 are known here");
  if (count == 0 || count > kMostValues) return refuse(ncclInvalidArgument, "a count of " + std::to_string(count));
  for (const void* memory : {from, static_cast<const void*>(to)}) {
    if (!resnode::emulator::isOnDevice(memory, count * sizeof(float)))
      return refuse(ncclInvalidArgument, "memory that is not the GPU's");
  }
  grouped.push_back({comm, {static_cast<const float*>(from), static_cast<float*>(to), count, stream}});
  return groups > 0 ? ncclSuccess : enqueueGrouped();
}
