#include "cuda/operations/inner-product/inner-product-gradient.h"

#include "cuda/kernels/tiled-product.h"

namespace resnode::cuda {
namespace {

// A matrix and its strides.
struct Matrix {
  const float* values;
  int64_t rowStep, columnStep;
  RESNODE_HOST_DEVICE float at(int row, int column) const { return values[row * rowStep + column * columnStep]; }
};

template <bool kNear>
struct Product {
  static constexpr bool kDepthIsNear = kNear;
  int rows, columns, depth, groups;
  Matrix left, right;
  float* result;
  int64_t rowStep, columnStep;

  using Row = int;
  using Column = int;
  using Depth = int;
  RESNODE_HOST_DEVICE Row row(int, int m) const { return m; }
  RESNODE_HOST_DEVICE Column column(int, int n) const { return n; }
  RESNODE_HOST_DEVICE Depth depthOf(int, int k) const { return k; }
  RESNODE_HOST_DEVICE float a(Row m, Depth k) const { return left.at(m, k); }
  RESNODE_HOST_DEVICE float b(Depth k, Column n) const { return right.at(k, n); }
  RESNODE_HOST_DEVICE void store(int, int m, int n, float sum) const { result[m * rowStep + n * columnStep] = sum; }
};

}  // namespace

int64_t innerProductDataScratch(const InnerProductShape& shape) {
  return tiledProductScratch(shape.rows, shape.k, shape.outputs);
}

void launchInnerProductDataGradient(const InnerProductShape& shape, const float* dy, const float* weights, float* dx,
                                    float* scratch, cudaStream_t stream) {
  const Matrix right = shape.transposed ? Matrix{weights, 1, shape.outputs} : Matrix{weights, shape.k, 1};
  const Product<true> product{static_cast<int>(shape.rows),
                              static_cast<int>(shape.k),
                              static_cast<int>(shape.outputs),
                              1,
                              {dy, shape.outputs, 1},
                              right,
                              dx,
                              shape.k,
                              1};
  launchTiledProduct(product, scratch, stream);
}

int64_t innerProductWeightScratch(const InnerProductShape& shape) {
  return tiledProductScratch(shape.outputs, shape.k, shape.rows);
}

void launchInnerProductWeightGradient(const InnerProductShape& shape, const float* x, const float* dy, float* dw,
                                      float* scratch, cudaStream_t stream) {
  const int64_t rowStep = shape.transposed ? 1 : shape.k, columnStep = shape.transposed ? shape.outputs : 1;
  const Product<false> product{static_cast<int>(shape.outputs),
                               static_cast<int>(shape.k),
                               static_cast<int>(shape.rows),
                               1,
                               {dy, 1, shape.outputs},
                               {x, shape.k, 1},
                               dw,
                               rowStep,
                               columnStep};
  launchTiledProduct(product, scratch, stream);
}

}  // namespace resnode::cuda
