// The first convolution of an int8 net together with the max pooling behind it. A thread pools rows of the convolution
// as soon as it has computed them, so that they stay in its first-level cache.
#pragma once

#include "native/operations/convolution/cpu-int16.h"

namespace resnode::cpu {

class Int16PooledConvolution {
 public:
  // The convolution's result has 8 bits. No window of the pooling may be entirely in the padding.
  Int16PooledConvolution(Int16Convolution convolution, const Pooling& pooling, const Shape& pooled, bool isUnsigned)
      : convolution_(std::move(convolution)), pooling_(pooling), pooled_(pooled), isUnsigned_(isUnsigned) {}

  const Int16Convolution& convolution() const { return convolution_; }
  size_t scratchBytes(int threads) const;
  // The operands' result is the pooling's. False if a value of the source is not finite; the result is then unusable.
  bool run(ThreadPool& pool, const Int16Operands& operands) const;

 private:
  // Of the scratch, in whole cache lines: the bytes that all threads share.
  int64_t sharedBytes() const { return ceiling(static_cast<int64_t>(convolution_.scratchBytes()), 64) * 64; }
  // Bytes of a row of the convolution, for one group.
  int64_t rowBytes() const { return convolution_.blocksPerGroup() * convolution_.resultShape()[3] * kLanes; }
  // Of a thread: the rows of a window, and the maxima of their columns.
  int64_t threadBytes() const { return pooling_.kernel.height * rowBytes() + convolution_.resultShape()[3] * kLanes; }

  Int16Convolution convolution_;
  Pooling pooling_;
  Shape pooled_;
  bool isUnsigned_;
};

}  // namespace resnode::cpu
