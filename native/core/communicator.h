// Processes that work together. All calls except rank, size and the message functions are collective: every process
// makes the same calls in the same order, on one thread each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

namespace resnode {

class Communicator {
 public:
  virtual ~Communicator() = default;
  // Ranks start at 0. Process 0 writes files and logs.
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Sums over all processes, in place. Every process gets the same bits. Throws Error("communicator/failed").
  virtual void sum(float* values, size_t count) = 0;
  virtual void sum(double* values, size_t count) = 0;

  // Messages arrive in the order in which they were sent. `send` returns once `bytes` may change. `hasMessage` never
  // waits, `receive` does. All three throw Error("communicator/failed").
  virtual void send(int rank, const std::vector<unsigned char>& bytes) = 0;
  virtual bool hasMessage(int rank) = 0;
  virtual std::vector<unsigned char> receive(int rank) = 0;

  struct Values {
    float* data;
    size_t count;
  };
  // Averages each array over all processes, in place, as Caffe divides the diffs in its solvers. Small arrays share one
  // message, because a net has many biases and every message waits for all processes.
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
  // The bytes of each process, ordered by rank. `bytes` must have the same length everywhere.
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
  // A second communicator of the same processes, for another thread.
  virtual std::unique_ptr<Communicator> duplicate() = 0;
  // Ends communication. All processes must call it, or the launcher ends the job. Called once, on the communicator that
  // was opened.
  virtual void finish() = 0;

 private:
  void average(float* values, size_t count) {
    sum(values, count);
    const float share = 1.f / static_cast<float>(size());
    for (size_t i = 0; i < count; ++i) values[i] *= share;
  }
};

// Every communicator library (libresnode_mpi.so) exports this symbol. It returns a new object, which the caller
// deletes. Throws Error.
inline constexpr const char* kOpenCommunicatorSymbol = "resnode_open_communicator";
using OpenCommunicator = Communicator* (*)();

}  // namespace resnode
