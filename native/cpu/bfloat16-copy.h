// Copies feature maps between float32, row-major or blocked, and blocked bfloat16, and converts float32 operands of our
// loops.
#pragma once

#include <optional>

#include "native/cpu/layout.h"
#include "native/cpu/thread-pool.h"

namespace resnode::cpu {

// [N][blocks of 16][...][16].
Layout bfloat16Layout(const Shape& shape);
inline bool isBfloat16(const Layout& layout) { return layout.data_type() == ValueType::bf16; }

class Bfloat16Copy {
 public:
  // Empty for other layouts.
  static std::optional<Bfloat16Copy> describe(const Layout& from, const Layout& to);
  void run(ThreadPool& pool, const void* from, void* to) const;

 private:
  bool rounds_ = false, isPlain_ = false;
  int64_t images_ = 0, channels_ = 0, pixels_ = 0;
};

// [rows][columns] of float32 → [blocks][rows][16]; the last block is padded with zeros.
void roundMatrix(ThreadPool& pool, int64_t rows, int64_t columns, const float* matrix, uint16_t* blocks);

// The form of a row-major image: planes of words with two channels each, with `left` columns of zeros before each row
// and `width` columns in all.
struct ChannelPairs {
  int64_t images, channels, height, from, left, width;

  int64_t planes() const { return ceiling(channels, 2); }
  int64_t words() const { return images * planes() * height * width; }
  void run(ThreadPool& pool, const float* plain, uint32_t* words) const;
};

}  // namespace resnode::cpu
