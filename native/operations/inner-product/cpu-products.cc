#include "native/operations/inner-product/cpu-products.h"

#include <algorithm>

#include "native/cpu/layout.h"

namespace resnode::cpu {
namespace {

// Columns that are summed at once. They stay in L1 while all rows pass.
constexpr int64_t kAtOnce = 128;
// Rows per unit of work.
constexpr int64_t kRowsOfUnit = 64;

}  // namespace

void multiplyMatrices(ThreadPool& pool, const TileKernels& kernels, const MatrixProduct& product, const float* scalars,
                      const float* values, float* result) {
  const int64_t blocks = product.columns / kLanes;
  const int wide = blocks % kernels.mostBlocks == 0 ? kernels.mostBlocks : 1, most = kernels.mostScalars[wide - 1];
  const int64_t columnParts = blocks / wide, rowParts = ceiling(product.rows, kRowsOfUnit);
  pool.run(columnParts * rowParts,
           ThreadPool::grain(wide * kLanes * std::min(kRowsOfUnit, product.rows) * product.summed), [&](int64_t unit) {
             const int64_t column = unit / rowParts * wide * kLanes, firstRow = unit % rowParts * kRowsOfUnit,
                           endRow = std::min(firstRow + kRowsOfUnit, product.rows);
             for (int64_t row = firstRow; row < endRow; ++row)
               std::fill_n(result + row * product.resultRow + column, wide * kLanes, 0.f);
             ProductArguments a{};
             a.images = a.rows = 1;
             a.scalarsColumn = product.scalarsSummed;
             a.valuesColumn = product.valuesSummed;
             a.scalarStep = product.scalarsRow;
             a.valuesBlock = kLanes;
             a.resultStep = product.resultRow;
             for (int64_t k = 0; k < product.summed; k += kAtOnce) {
               a.columns = std::min(kAtOnce, product.summed - k);
               a.values = values + k * product.valuesSummed + column;
               for (int64_t row = firstRow; row < endRow; row += most) {
                 a.scalars = scalars + row * product.scalarsRow + k * product.scalarsSummed;
                 a.result = result + row * product.resultRow + column;
                 kernels.products[wide - 1][std::min<int64_t>(most, endRow - row) - 1](a);
               }
             }
           });
}

void transposeMatrix(ThreadPool& pool, int64_t rows, int64_t columns, const float* from, int64_t paddedRows,
                     float* to) {
  pool.run(columns, ThreadPool::grain(paddedRows * 4), [&](int64_t column) {
    for (int64_t row = 0; row < paddedRows; ++row)
      to[column * paddedRows + row] = row < rows ? from[row * columns + column] : 0.f;
  });
}

}  // namespace resnode::cpu
