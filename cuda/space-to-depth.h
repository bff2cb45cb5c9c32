// Space to depth. A convolution of stride 2 over an image equals one of stride 1 over the image's 2×2 blocks. The 4·4
// values of a block are contiguous, so that a load reads 32 bytes instead of 8.
//
// out(p) = Σ_r w[r]·x[2p + r − pad]. With e = pad mod 2 and r + e = 2R + a, x[2p + r − pad] is row a of block row p + R
// − (pad + e)/2.
#pragma once

#include "cuda/convolution/problem.h"
#include "cuda/layout.h"
#include "cuda/packing.h"
#include "native/core/program.h"

namespace resnode::cuda {

// Whether a convolution can be folded: at most 4 channels, even height and width, no groups, no dilation.
bool isFoldable(const Convolution& convolution, const Shape& input);

// `problem` reads the unfolded image; the result reads its blocks.
ConvolutionProblem foldedProblem(const ConvolutionProblem& problem);

// The weights of foldedProblem(problem).
Packing foldedPacking(const ConvolutionProblem& problem);

}  // namespace resnode::cuda
