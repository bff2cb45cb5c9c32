// Pooling in a blocked layout, by Caffe's rules at the edges.
#pragma once

#include "native/core/program.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// x: [planes][H][W][16]; y: [planes][outH][outW][16]. A window that lies in padding alone is not expected.
void poolBlocked(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                 const float* x, float* y);

// The same of bfloat16, to which a result is rounded.
void poolBfloat16(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                  const uint16_t* x, uint16_t* y);

// As poolBlocked; where is [planes][outH][outW][16], the place in its window of each maximum, which is the first of several.
void maximaWithPlaces(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                      const float* x, float* y, uint16_t* where);
// A larger window has no such places.
constexpr int64_t kMostPlaces = 0xffff;

// The same with the place in its plane of each maximum, −1 where nothing is greater than the least float; mask as y.
void maximaWithMask(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                    const float* x, float* y, float* mask);

// dx: [planes][H][W][16]; dy as y. `where`: null for averages.
void poolBlockedGradient(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                         const float* dy, const uint16_t* where, float* dx);

// The maximum of 8-bit integers; x, y as above.
void maximumOfBytes(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                    bool areUnsigned, const uint8_t* x, uint8_t* y);

}  // namespace resnode::cpu
