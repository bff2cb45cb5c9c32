// Products of a matrix that stays row-major, as what learns does: packing one takes longer than to multiply a few rows by it.
// Sums go over the summed index in one order, so that the number of threads changes no bit.
#pragma once

#include <cstdint>

#include "native/cpu/thread-pool.h"
#include "native/cpu/tile.h"

namespace resnode::cpu {

// result[i][j] = Σ over k of scalars[i][k] × values[k][j]; steps are floats from one index to the next, those of j are 1.
struct MatrixProduct {
  int64_t rows, summed, columns;  // i, k, j; columns are whole blocks of 16
  int64_t scalarsRow, scalarsSummed;
  int64_t valuesSummed;
  int64_t resultRow;
};
void multiplyMatrices(ThreadPool& pool, const TileKernels& kernels, const MatrixProduct& product, const float* scalars,
                      const float* values, float* result);

// [rows][columns] → [columns][paddedRows], zeros behind the rows.
void transposeMatrix(ThreadPool& pool, int64_t rows, int64_t columns, const float* from, int64_t paddedRows, float* to);

}  // namespace resnode::cpu
