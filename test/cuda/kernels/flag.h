#pragma once

#include "test/cuda/kernels/harness.h"

namespace resnode::test {

// A number in device memory, which CUDA itself clears.
class Flag {
 public:
  Flag() { expect(cudaMalloc(reinterpret_cast<void**>(&data_), sizeof(int)) == cudaSuccess, "device memory"); }
  ~Flag() { cudaFree(data_); }
  int* data() { return data_; }
  int value() const {
    int value = -1;
    expect(cudaMemcpy(&value, data_, sizeof value, cudaMemcpyDeviceToHost) == cudaSuccess, "back");
    return value;
  }

 private:
  int* data_ = nullptr;
};

}  // namespace resnode::test
