// Space to depth: a convolution of stride 2 over an image is one of stride 1 over the image's 2×2 blocks, whose 4·4 values
// lie beside each other, so that it reads 32 bytes at once instead of 8.
//
// out(p) = Σ_r w[r]·x[2p + r − pad]. With e = pad mod 2 and r + e = 2R + a, that is row a of block row p + R − (pad + e)/2.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/layout.h"
#include "cuda/packing.h"
#include "native/core/program.h"

namespace resnode::cuda {

// Of up to 4 channels, of even height and width, ungrouped, undilated.
bool isFoldable(const Convolution& convolution, const Shape& input);

// `problem` reads the image as it is; the result its blocks.
ConvolutionProblem foldedProblem(const ConvolutionProblem& problem);

// The weights of foldedProblem(problem).
Packing foldedPacking(const ConvolutionProblem& problem);

}  // namespace resnode::cuda
