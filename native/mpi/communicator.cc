// libresnode_mpi.so: communicates with the processes that mpirun started. MPI 3.1, https://www.mpi-forum.org/docs/
#include "native/core/communicator.h"

#include <dlfcn.h>
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "native/core/error.h"
#include "native/core/interface-stamp.h"

namespace resnode {
namespace {

void check(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw Error("communicator/failed", std::string(call) + ": " + text);
}

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(MPI_Comm communicator) : communicator_(communicator) {
    MPI_Comm_rank(communicator_, &rank_);
    MPI_Comm_size(communicator_, &size_);
    // Return errors as numbers; by default they would end the process.
    MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
  }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void sum(float* values, size_t count) override { sum(values, count, MPI_FLOAT); }
  void sum(double* values, size_t count) override { sum(values, count, MPI_DOUBLE); }
  // Sends the length first, then the pieces.
  void send(int rank, const std::vector<unsigned char>& bytes) override {
    const auto length = static_cast<uint64_t>(bytes.size());
    sendPiece(rank, &length, sizeof length);
    for (size_t start = 0; start < bytes.size(); start += kMessagePiece)
      sendPiece(rank, bytes.data() + start, std::min(kMessagePiece, bytes.size() - start));
  }
  bool hasMessage(int rank) override {
    int isThere = 0;
    check(MPI_Iprobe(rank, kTag, communicator_, &isThere, MPI_STATUS_IGNORE), "MPI_Iprobe");
    return isThere != 0;
  }
  std::vector<unsigned char> receive(int rank) override {
    uint64_t length = 0;
    receivePiece(rank, &length, sizeof length);
    std::vector<unsigned char> bytes(length);
    for (size_t start = 0; start < bytes.size(); start += kMessagePiece)
      receivePiece(rank, bytes.data() + start, std::min(kMessagePiece, bytes.size() - start));
    return bytes;
  }
  std::unique_ptr<Communicator> duplicate() override {
    MPI_Comm other = MPI_COMM_NULL;
    check(MPI_Comm_dup(communicator_, &other), "MPI_Comm_dup");
    return std::make_unique<MpiCommunicator>(other);
  }
  void finish() override { check(MPI_Finalize(), "MPI_Finalize"); }

 private:
  static constexpr int kTag = 1;
  static constexpr size_t kMessagePiece = size_t{1} << 26;

  void sendPiece(int rank, const void* bytes, size_t length) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Isend(bytes, static_cast<int>(length), MPI_BYTE, rank, kTag, communicator_, &request), "MPI_Isend");
    await(request);
  }
  void receivePiece(int rank, void* bytes, size_t length) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Irecv(bytes, static_cast<int>(length), MPI_BYTE, rank, kTag, communicator_, &request), "MPI_Irecv");
    await(request);
  }
  // MPI's own wait keeps a processor busy that the other process may need.
  static void await(MPI_Request& request) {
    for (int isDone = 0;;) {
      check(MPI_Test(&request, &isDone, MPI_STATUS_IGNORE), "MPI_Test");
      if (isDone) return;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  // Reduces to the first process and broadcasts from there, because an all-reduce may add in another order in each
  // process. The array is sent in pieces, because a message's length is an int.
  template <class T>
  void sum(T* values, size_t count, MPI_Datatype type) {
    constexpr size_t kPiece = size_t{1} << 22;
    for (size_t start = 0; start < count; start += kPiece) {
      T* piece = values + start;
      const int length = static_cast<int>(std::min(kPiece, count - start));
      check(MPI_Reduce(rank_ == 0 ? MPI_IN_PLACE : piece, piece, length, type, MPI_SUM, 0, communicator_),
            "MPI_Reduce");
      check(MPI_Bcast(piece, length, type, 0, communicator_), "MPI_Bcast");
    }
  }

  MPI_Comm communicator_;
  int rank_ = 0, size_ = 1;
};

}  // namespace
}  // namespace resnode

extern "C" __attribute__((visibility("default"))) const char* resnode_interface_stamp() {
  return resnode::interfaceStamp();
}

extern "C" __attribute__((visibility("default"))) resnode::Communicator* resnode_open_communicator() {
  using resnode::Error;
  // Open MPI's plugins look for its symbols in the global scope, but this library was opened privately.
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&MPI_Init_thread), &info))
    dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
  int isInitialised = 0, isFinalised = 0, provided = MPI_THREAD_SINGLE;
  MPI_Initialized(&isInitialised);
  MPI_Finalized(&isFinalised);
  if (isInitialised || isFinalised)
    throw Error("communicator/unavailable",
                "MPI can be initialised only once per process, and this process has already done so");
  resnode::check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_MULTIPLE)
    throw Error("communicator/unavailable",
                "This MPI lacks MPI_THREAD_MULTIPLE, which a device's thread next to Node.js needs");
  return new resnode::MpiCommunicator(MPI_COMM_WORLD);
}
