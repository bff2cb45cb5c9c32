// Products with a matrix that stays row-major, as weights that learn do: packing takes longer than multiplying by a few
// rows. Each sum has a fixed order, so that the number of threads changes no bit.
#pragma once

#include <cstdint>

#include "native/cpu/thread-pool.h"
#include "native/cpu/tile.h"

namespace resnode::cpu {

// result[i][j] = Σ over k of scalars[i][k] × values[k][j]. Steps are in floats between neighbouring indices; the steps
// of j are 1.
struct MatrixProduct {
  int64_t rows, summed, columns;  // i, k, j; columns are whole blocks of 16
  int64_t scalarsRow, scalarsSummed;
  int64_t valuesSummed;
  int64_t resultRow;
};
void multiplyMatrices(ThreadPool& pool, const TileKernels& kernels, const MatrixProduct& product, const float* scalars,
                      const float* values, float* result);

// [rows][columns] → [columns][paddedRows], padded with zeros.
void transposeMatrix(ThreadPool& pool, int64_t rows, int64_t columns, const float* from, int64_t paddedRows, float* to);

}  // namespace resnode::cpu
