// y = a · c for pairs of matrices: matmul_layer.cpp (github.com/foss-for-synopsys-dwc-arc-processors/synopsys-caffe),
// and inner_product_layer.cpp (github.com/happynear/caffe-windows) if a bottom holds the weights.
#pragma once

#include "native/core/portable.h"

namespace resnode {

// The strides of a matrix in a batch: of its rows, its columns and the matrices.
struct MatrixPlaces {
  int64_t size, row, column;

  MatrixPlaces(int64_t rows, int64_t columns, bool transposed)
      : size(rows * columns), row(transposed ? 1 : columns), column(transposed ? rows : 1) {}
  RESNODE_HOST_DEVICE int64_t at(int64_t batch, int64_t i, int64_t j) const {
    return batch * size + i * row + j * column;
  }
};

// An entry of the product of two matrices, `rows` × `columns`; if `transposed`, the product is stored transposed.
struct ProductEntry {
  const float *first, *second;
  MatrixPlaces a, c;
  int64_t rows, columns;
  bool transposed;

  template <class Real>
  RESNODE_HOST_DEVICE Totals term(int64_t i, int64_t k) const {
    const int64_t batch = i / (rows * columns), entry = i % (rows * columns);
    const int64_t m = transposed ? entry % rows : entry / columns, n = transposed ? entry / rows : entry % columns;
    return {static_cast<double>(first[a.at(batch, m, k)]) * second[c.at(batch, k, n)], 0};
  }
  template <class Real>
  RESNODE_HOST_DEVICE float finish(const Totals& sums, int64_t) const {
    return static_cast<float>(sums.a);
  }
};

template <class Run>
void forward(const MatrixProduct& op, const Forward& at, Run& run) {
  const MatrixPlaces a(op.rows, op.depth, op.transposeFirst), c(op.depth, op.columns, op.transposeSecond);
  run.sums(at.y[0], op.batches * op.rows * op.columns, op.depth,
           ProductEntry{at.x[0], at.x[1], a, c, op.rows, op.columns, false});
}

template <class Run>
void backward(const MatrixProduct& op, const Backward& at, Run& run) {
  const float *a = at.x[0], *c = at.x[1], *dy = at.dy[0];
  const MatrixPlaces y(op.rows, op.columns, false);
  // da = dy · cᵀ and dc = aᵀ · dy. Transposed matrices are read with exchanged strides.
  const MatrixPlaces cTransposed(op.columns, op.depth, !op.transposeSecond),
      aTransposed(op.depth, op.rows, !op.transposeFirst);
  run.sums(at.dx[0], op.batches * op.rows * op.depth, op.columns,
           ProductEntry{dy, c, y, cTransposed, op.rows, op.depth, op.transposeFirst});
  run.sums(at.dx[1], op.batches * op.depth * op.columns, op.rows,
           ProductEntry{a, dy, aTransposed, y, op.depth, op.columns, op.transposeSecond});
}

}  // namespace resnode
