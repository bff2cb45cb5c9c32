// Inner products whose weights learn, and their gradients, computed by our tiles. The stored matrix M is
// [outputs][inputs], or transposed. u has one value per row of M, and v one per column: v = u M, u = v Mᵀ, and the diff
// of M is uᵀ v.
#include <algorithm>

#include "native/cpu/fused-relu.h"
#include "native/operations/convolution/cpu-activation.h"
#include "native/operations/inner-product/cpu-products.h"
#include "native/operations/inner-product/cpu-steps.h"

namespace resnode::cpu {
namespace {

struct Matrix {
  int64_t images, rows, columns;

  Matrix(const InnerProduct& innerProduct, const Shape& in) : images(in[0]) {
    rows = innerProduct.numOutput;
    columns = elementCount(in) / in[0];
    if (innerProduct.transpose) std::swap(rows, columns);
  }
  int64_t paddedColumns() const { return ceiling(columns, kLanes) * kLanes; }
  int64_t paddedImages() const { return ceiling(images, kLanes) * kLanes; }
  bool fillsBlocks() const { return columns % kLanes == 0; }
};

Place floats(StepBuilder& step, int64_t count) { return step.temporary(plainLayout({count})); }

using Pointers = std::vector<float*>;
void callWithFloats(StepBuilder& step, std::vector<Place> places, std::function<void(const Pointers&)> work) {
  step.call(std::move(places), [work = std::move(work)](const std::vector<void*>& at) -> Work {
    Pointers pointers;
    for (void* each : at) pointers.push_back(static_cast<float*>(each));
    return [work, pointers] { work(pointers); };
  });
}

// Rows of whole blocks, padded with zeros.
Place inBlocks(StepBuilder& step, const Place& matrix, int64_t rows, const Matrix& m) {
  if (m.fillsBlocks()) return matrix;
  const Place padded = floats(step, rows * m.paddedColumns());
  callWithFloats(step, {matrix, padded}, [=, pool = step.pool()](const Pointers& at) {
    pool->run(rows, ThreadPool::grain(m.columns), [&](int64_t row) {
      float* to = at[1] + row * m.paddedColumns();
      std::fill_n(std::copy_n(at[0] + row * m.columns, m.columns, to), m.paddedColumns() - m.columns, 0.f);
    });
  });
  return padded;
}

// Multiplies into rows of whole blocks, whose valid columns become the result.
void multiplyInBlocks(StepBuilder& step, const MatrixProduct& product, const Matrix& m, const Place& scalars,
                      const Place& values, const Place& result) {
  const Place padded = m.fillsBlocks() ? result : floats(step, product.rows * m.paddedColumns());
  callWithFloats(step, {scalars, values, padded, result},
                 [=, pool = step.pool(), kernels = step.kernels()](const Pointers& at) {
                   multiplyMatrices(*pool, *kernels, product, at[0], at[1], at[2]);
                   if (m.fillsBlocks()) return;
                   pool->run(product.rows, ThreadPool::grain(m.columns), [&](int64_t row) {
                     std::copy_n(at[2] + row * m.paddedColumns(), m.columns, at[3] + row * m.columns);
                   });
                 });
}

// v = u M
void toColumns(StepBuilder& step, const Matrix& m, const Place& u, const Place& weights, const Place& v) {
  const MatrixProduct product{m.images, m.rows, m.paddedColumns(), m.rows, 1, m.paddedColumns(), m.paddedColumns()};
  multiplyInBlocks(step, product, m, u, inBlocks(step, weights, m.rows, m), v);
}

// u = v Mᵀ, computed transposed: the values of Mᵀ are the scalars, and images are adjacent.
void toRows(StepBuilder& step, const Matrix& m, const Place& v, const Place& weights, const Place& u) {
  const int64_t images = m.paddedImages();
  const MatrixProduct product{m.rows, m.columns, images, m.columns, 1, images, images};
  callWithFloats(step, {v, weights, u, floats(step, m.columns * images), floats(step, m.rows * images)},
                 [=, pool = step.pool(), kernels = step.kernels()](const Pointers& at) {
                   transposeMatrix(*pool, m.images, m.columns, at[0], images, at[3]);
                   multiplyMatrices(*pool, *kernels, product, at[1], at[3], at[4]);
                   pool->run(m.images, ThreadPool::grain(m.rows * 4), [&](int64_t image) {
                     for (int64_t row = 0; row < m.rows; ++row)
                       at[2][image * m.rows + row] = at[4][row * images + image];
                   });
                 });
}

void toWeights(StepBuilder& step, const Matrix& m, const Place& u, const Place& v, const Place& dWeights) {
  const MatrixProduct product{m.rows, m.images, m.paddedColumns(), 1, m.rows, m.paddedColumns(), m.paddedColumns()};
  multiplyInBlocks(step, product, m, u, inBlocks(step, v, m.images, m), dWeights);
}

void addBias(StepBuilder& step, const Place& bias, int64_t images, int64_t outputs, const Place& y) {
  callWithFloats(step, {bias, y}, [=, pool = step.pool()](const Pointers& at) {
    pool->run(images, ThreadPool::grain(outputs), [&](int64_t image) {
      for (int64_t i = 0; i < outputs; ++i) at[1][image * outputs + i] += at[0][i];
    });
  });
}

void sumImages(StepBuilder& step, const Place& dy, int64_t images, int64_t outputs, const Place& dBias) {
  callWithFloats(step, {dy, dBias}, [=, pool = step.pool()](const Pointers& at) {
    pool->run(outputs, ThreadPool::grain(images * 4), [&](int64_t i) {
      double total = 0;
      for (int64_t image = 0; image < images; ++image) total += at[0][image * outputs + i];
      at[1][i] = static_cast<float>(total);
    });
  });
}

}  // namespace

bool addLearningInnerProduct(StepBuilder& step, const InnerProduct& innerProduct) {
  const Shape& in = step.inputShape(0);
  if (innerProduct.axis != 1 || in[0] == 0) return false;
  const Matrix m(innerProduct, in);
  const Place x = step.readPlain(0), weights = step.plainParameter(innerProduct.weights), y = step.writePlain(0);
  if (innerProduct.transpose) toColumns(step, m, x, weights, y);
  else toRows(step, m, x, weights, y);
  if (innerProduct.bias) addBias(step, step.plainParameter(*innerProduct.bias), m.images, innerProduct.numOutput, y);
  addActivationOver(step, FusedActivation(innerProduct), y, plainLayout(step.outputShape(0)));
  step.describe(std::string("tiles ") + step.kernels()->name);
  return true;
}

// inputs: x, y, dy; outputs: dx, dweights, dbias.
bool addLearningInnerProductGradient(StepBuilder& step, const InnerProduct& innerProduct) {
  const Operation& forward = step.differentiated();
  const Shape &in = step.shape(forward.inputs[0]), &out = step.shape(forward.outputs[0]);
  if (!step.hasInput(2) || innerProduct.axis != 1 || in[0] == 0) return false;
  const Matrix m(innerProduct, in);
  DiffBehindRelu diff(step, innerProduct.relu, 1, 2);
  const Place dy = diff.in(plainLayout(out));
  if (step.hasOutput(1)) {
    const Place x = step.readPlain(0), dWeights = step.writePlain(1);
    toWeights(step, m, innerProduct.transpose ? x : dy, innerProduct.transpose ? dy : x, dWeights);
  }
  if (step.hasOutput(2)) sumImages(step, dy, m.images, innerProduct.numOutput, step.writePlain(2));
  if (step.hasOutput(0)) {
    const Place weights = step.plainParameter(innerProduct.weights), dx = step.writePlain(0);
    if (innerProduct.transpose) toRows(step, m, dy, weights, dx);
    else toColumns(step, m, dy, weights, dx);
  }
  step.describe(std::string("tiles ") + step.kernels()->name);
  return true;
}

}  // namespace resnode::cpu
