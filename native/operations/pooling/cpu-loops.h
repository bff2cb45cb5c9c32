// Pooling in a blocked layout, with Caffe's rules at the edges.
#pragma once

#include <vector>

#include "native/core/program.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// Whether no window is entirely in the padding.
bool hasLastInside(const Pooling& pooling, const Shape& in, const Shape& out);

// x: [planes][H][W][16]; y: [planes][outH][outW][16]. No window may be entirely in the padding.
void poolBlocked(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                 const float* x, float* y);

// The same for bfloat16; results are rounded to it.
void poolBfloat16(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                  const uint16_t* x, uint16_t* y);

// As poolBlocked. `where`, [planes][outH][outW][16], gets each maximum's position in its window; the first of equal
// maxima counts.
void maximaWithPlaces(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                      const float* x, float* y, uint16_t* where);
// A larger window has too many positions.
constexpr int64_t kMostPlaces = 0xffff;

// The same with each maximum's position in its plane, or −1 if no value exceeds the lowest float; mask has y's layout.
void maximaWithMask(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                    const float* x, float* y, float* mask);

// dx: [planes][H][W][16]; dy in y's layout. `where`: null for averages.
void poolBlockedGradient(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                         const float* dy, const uint16_t* where, float* dx);

// Max pooling of 8-bit integers; x, y as above.
void maximumOfBytes(ThreadPool& pool, const Pooling& pooling, const Shape& in, const Shape& out, int64_t planes,
                    bool areUnsigned, const uint8_t* x, uint8_t* y);

// The same for one row of windows, whose rows are first ≤ row < end, at these addresses. `columns` has room for a row.
struct WindowRows {
  int64_t first, end;
};
WindowRows windowRows(const Pooling& pooling, int64_t line, int64_t height);
void maximumOfByteRows(const Pooling& pooling, int64_t width, int64_t windows, bool areUnsigned,
                       const std::vector<const uint8_t*>& rows, uint8_t* columns, uint8_t* y);

}  // namespace resnode::cpu
