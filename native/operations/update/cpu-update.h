// Caffe's SGDSolver::ApplyUpdate over all learnable parameters, in place and on all threads.
#pragma once

#include <cstdint>
#include <vector>

#include "native/core/program.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// One learnable parameter; all arrays have the same layout.
struct Updated {
  float* values;
  float* diff;         // null: all 0
  float* accumulator;  // null: none
  float* history[2];   // as the rule needs it
  float* average;      // null: none
  int64_t count;
  float lrMult, decayMult;
};

class Updater {
 public:
  // `pool`: as parallel.h says.
  Updater(const Update& update, std::vector<Updated> parameters, ThreadPool* pool);
  // schedule: rate, iteration from 0, first, last (ts/operations/program.ts).
  void run(const float* schedule);

 private:
  // The elements that a thread takes at a time.
  struct Chunk {
    size_t parameter;
    int64_t begin, count;
  };
  // Calls function(index, chunk, its parameter) for all chunks, in parallel.
  template <class Function>
  void forEachChunk(Function&& function);
  void accumulate(bool isFirst);
  // The L2 norm of all diffs together.
  double norm();
  // For each parameter, LARS's factor for its rate. `gradient`: the factor of diffs.
  std::vector<double> trusts(double gradient);

  Update update_;
  std::vector<Updated> parameters_;
  ThreadPool* pool_;
  std::vector<Chunk> chunks_;
  std::vector<double> squares_;        // one per chunk, so that the order of additions does not depend on the threads
  std::vector<double> weightSquares_;  // likewise, for LARS
};

}  // namespace resnode::cpu
