// Processes that work together. All calls but rank, size and those of messages are collective: every process makes the
// same ones in the same order, on one thread each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

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

  // Messages, which another process asks for in the order in which they were sent. `send` returns when `bytes` may change;
  // `hasMessage` never waits; `receive` does. Throw Error("communicator/failed").
  virtual void send(int rank, const std::vector<unsigned char>& bytes) = 0;
  virtual bool hasMessage(int rank) = 0;
  virtual std::vector<unsigned char> receive(int rank) = 0;

  struct Values {
    float* data;
    size_t count;
  };
  // The sum over the number of processes, of each array in place, as Caffe divides the diffs of its solvers. What is small
  // goes in one message: a net has many biases, and each message waits for all processes.
  void mean(const std::vector<Values>& arrays) {
    constexpr size_t kSmall = size_t{1} << 14;
    std::vector<float> together;
    for (const auto& [data, count] : arrays) {
      if (count < kSmall) together.insert(together.end(), data, data + count);
      else average(data, count);
    }
    if (together.empty()) return;
    average(together.data(), together.size());
    const float* next = together.data();
    for (const auto& [data, count] : arrays) {
      if (count >= kSmall) continue;
      std::copy_n(next, count, data);
      next += count;
    }
  }
  // What each process says, by rank: `bytes` of the same length everywhere.
  std::vector<std::vector<unsigned char>> gather(const std::vector<unsigned char>& bytes) {
    const size_t length = bytes.size();
    std::vector<float> all(length * static_cast<size_t>(size()), 0.f);
    std::copy(bytes.begin(), bytes.end(), all.begin() + static_cast<std::ptrdiff_t>(length) * rank());
    sum(all.data(), all.size());
    std::vector<std::vector<unsigned char>> said;
    for (auto at = all.begin(); at != all.end(); at += static_cast<std::ptrdiff_t>(length))
      said.emplace_back(at, at + static_cast<std::ptrdiff_t>(length));
    return said;
  }
  // Another one of the same processes, for another thread.
  virtual std::unique_ptr<Communicator> duplicate() = 0;
  // Leaves; all processes do, or the launcher ends the job. Once, on the one that was opened.
  virtual void finish() = 0;

 private:
  void average(float* values, size_t count) {
    sum(values, count);
    const float share = 1.f / static_cast<float>(size());
    for (size_t i = 0; i < count; ++i) values[i] *= share;
  }
};

// A communicator library (libresnode_mpi.so) has this symbol. Returns a new object that the caller deletes. Throws Error.
inline constexpr const char* kOpenCommunicatorSymbol = "resnode_open_communicator";
using OpenCommunicator = Communicator* (*)();

}  // namespace resnode
