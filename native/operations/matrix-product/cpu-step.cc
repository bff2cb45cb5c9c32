// Products of two computed matrices, and their gradients, which are such products, by the tiles of our inner products.
#include "native/cpu/kind-steps.h"
#include "native/operations/inner-product/cpu-products.h"
#include "native/operations/matrix-product/matrix-product.h"

namespace resnode::cpu {
namespace {

using Pair = resnode::MatrixProduct;

struct Factor {
  Place place;
  MatrixPlaces at;

  Factor transposed() const {
    Factor other = *this;
    std::swap(other.at.row, other.at.column);
    return other;
  }
};

// One product of a batch: [rows][summed] times [summed][columns].
struct Sizes {
  int64_t rows, summed, columns;
  int64_t paddedColumns() const { return ceiling(columns, kLanes) * kLanes; }
  bool fillsBlocks() const { return columns % kLanes == 0; }
};

// The second factor as rows of whole blocks.
void packRows(ThreadPool& pool, const Sizes& sizes, const MatrixPlaces& at, const float* from, float* to) {
  if (at.column != 1) {
    transposeMatrix(pool, sizes.columns, sizes.summed, from, sizes.paddedColumns(), to);
    return;
  }
  pool.run(sizes.summed, ThreadPool::grain(sizes.columns), [&](int64_t k) {
    float* row = to + k * sizes.paddedColumns();
    std::fill_n(std::copy_n(from + k * at.row, sizes.columns, row), sizes.paddedColumns() - sizes.columns, 0.f);
  });
}

void addProducts(StepBuilder& step, int64_t batches, const Sizes& sizes, const Factor& first, const Factor& second,
                 const Place& result) {
  const int64_t padded = sizes.paddedColumns();
  const bool packs = second.at.column != 1 || !sizes.fillsBlocks();
  const Place none{};
  const Place packed = packs ? step.temporary(plainLayout({sizes.summed, padded})) : none;
  const Place blocks = sizes.fillsBlocks() ? none : step.temporary(plainLayout({sizes.rows, padded}));
  const MatrixProduct product{sizes.rows, sizes.summed, padded, first.at.row, first.at.column, padded, padded};
  step.call({first.place, second.place, result, packed, blocks},
            [=, a = first.at, c = second.at, pool = step.pool(),
             kernels = step.kernels()](const std::vector<void*>& places) -> Work {
              const auto at = [&](int i) { return static_cast<float*>(places[i]); };
              return [=, x = at(0), w = at(1), y = at(2), rows = at(3), made = at(4)] {
                for (int64_t batch = 0; batch < batches; ++batch) {
                  const float* values = w + batch * c.size;
                  if (packs) packRows(*pool, sizes, c, values, rows);
                  float* to = y + batch * sizes.rows * sizes.columns;
                  multiplyMatrices(*pool, *kernels, product, x + batch * a.size, packs ? rows : values,
                                   sizes.fillsBlocks() ? to : made);
                  if (sizes.fillsBlocks()) continue;
                  pool->run(sizes.rows, ThreadPool::grain(sizes.columns), [&](int64_t row) {
                    std::copy_n(made + row * padded, sizes.columns, to + row * sizes.columns);
                  });
                }
              };
            });
}

// The same, stored transposed if `transposed`.
void addProducts(StepBuilder& step, int64_t batches, const Sizes& sizes, const Factor& first, const Factor& second,
                 bool transposed, const Place& result) {
  if (transposed)
    addProducts(step, batches, {sizes.columns, sizes.summed, sizes.rows}, second.transposed(), first.transposed(),
                result);
  else addProducts(step, batches, sizes, first, second, result);
}

bool addMatrixProduct(StepBuilder& step, const Pair& op) {
  if (!step.pool()) return false;
  const Factor a{step.readPlain(0), {op.rows, op.depth, op.transposeFirst}};
  const Factor c{step.readPlain(1), {op.depth, op.columns, op.transposeSecond}};
  addProducts(step, op.batches, {op.rows, op.depth, op.columns}, a, c, step.writePlain(0));
  step.describe(std::string("tiles ") + step.kernels()->name);
  return true;
}

// inputs: a, c, y, dy; outputs: da = dy · cᵀ, dc = aᵀ · dy.
bool addMatrixProductGradient(StepBuilder& step, const Pair& op) {
  if (!step.pool() || !step.hasInput(3)) return false;
  const Factor dy{step.readPlain(3), {op.rows, op.columns, false}};
  if (step.hasOutput(0)) {
    const Factor c{step.readPlain(1), {op.depth, op.columns, op.transposeSecond}};
    addProducts(step, op.batches, {op.rows, op.columns, op.depth}, dy, c.transposed(), op.transposeFirst,
                step.writePlain(0));
  }
  if (step.hasOutput(1)) {
    const Factor a{step.readPlain(0), {op.rows, op.depth, op.transposeFirst}};
    addProducts(step, op.batches, {op.depth, op.rows, op.columns}, a.transposed(), dy, op.transposeSecond,
                step.writePlain(1));
  }
  step.describe(std::string("tiles ") + step.kernels()->name);
  return true;
}

const Steps<Pair> kMatrixProduct{addMatrixProduct, addMatrixProductGradient};

}  // namespace
}  // namespace resnode::cpu
