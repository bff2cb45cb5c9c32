// Processes that train one net together. All calls but rank and size are collective: every process makes the same ones
// in the same order, on one thread each.
#pragma once

#include <cstddef>
#include <memory>

namespace resnode {

class Communicator {
 public:
  virtual ~Communicator() = default;
  // From 0; 0 is the one that writes and logs.
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // In place: the sum over all processes, the same bits in each. Throws Error("communicator/failed").
  virtual void sum(float* values, size_t count) = 0;
  virtual void sum(double* values, size_t count) = 0;
  // The sum over the number of processes, as Caffe divides the diffs of its solvers.
  void mean(float* values, size_t count) {
    sum(values, count);
    const float share = 1.f / static_cast<float>(size());
    for (size_t i = 0; i < count; ++i) values[i] *= share;
  }
  // Another one of the same processes, for another thread.
  virtual std::unique_ptr<Communicator> duplicate() = 0;
  // Leaves; all processes do, or the launcher ends the job. Once, on the one that was opened.
  virtual void finish() = 0;
};

// A communicator library (libresnode_mpi.so) has this symbol. Returns a new object that the caller deletes. Throws Error.
inline constexpr int kCommunicatorAbi = 1;
inline constexpr const char* kOpenCommunicatorSymbol = "resnode_open_communicator";
using OpenCommunicator = Communicator* (*)(int abi);

}  // namespace resnode
