// Elementwise operations. Any layout works, if all operands share it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "native/cpu/parallel.h"

namespace resnode::cpu {

// `pool`: as parallel.h says.

// Calls function(first, how many) for all of `count` elements in pieces of 64 KiB, which stay in cache while more
// operands are added.
template <class Function>
void inChunks(ThreadPool* pool, int64_t count, Function&& function) {
  constexpr int64_t kChunk = 1 << 14;
  parallelFor(pool, (count + kChunk - 1) / kChunk, 1,
              [&](int64_t chunk) { function(chunk * kChunk, std::min(kChunk, count - chunk * kChunk)); });
}

// y = x > 0 ? x : slope · x. y may be x.
void relu(ThreadPool* pool, const float* x, float* y, int64_t count, float slope);

// dx = factor · (y > 0 ? dy : slope · dy). dx may be dy.
void reluGradient(ThreadPool* pool, const float* y, const float* dy, float* dx, int64_t count, float slope,
                  float factor);

// dx = factor · dy.
void multiply(ThreadPool* pool, const float* dy, float* dx, int64_t count, float factor);

// y = relu(Σ coefficient · x); a slope of 1 means no ReLU. y may be the first x.
void sum(ThreadPool* pool, const std::vector<const float*>& x, const std::vector<float>& coefficients, float* y,
         int64_t count, float slope);

// y = relu(Π x), and y = relu(max x) with Caffe's comparisons, for which NaN is never greater. y may be the first x.
void productOfAll(ThreadPool* pool, const std::vector<const float*>& x, float* y, int64_t count, float slope);
void maximumOfAll(ThreadPool* pool, const std::vector<const float*>& x, float* y, int64_t count, float slope);

// sum = y > 0 ? Σ diff : slope · Σ diff, for one to four diffs. sum may be any of them.
void sumBehindRelu(ThreadPool* pool, const float* y, const std::vector<const float*>& diffs, float* sum, int64_t count,
                   float slope);

}  // namespace resnode::cpu
