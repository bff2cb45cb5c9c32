// The gradients of convolutions and deconvolutions by our tiles. Both are treated as the convolution from the larger
// side, `wide`, to the smaller one, `deep`. For a deconvolution, that leads from its result's diff to its source.
#pragma once

#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/convolution/cpu-window.h"

namespace resnode::cpu {

// The memory of a tensor in the requested layout.
using PlaceIn = std::function<Place(const Layout&)>;

struct FilterSides {
  Convolution convolution;
  Shape wide, deep;
};

// The next two functions return whether Winograd's algorithm computes the diff. `output`: of the step, the weights'
// diff; `wide` and `deep`: the source and the result's diff, or the other way round.
bool addWeightsDiff(StepBuilder& step, const FilterSides& sides, const PlaceIn& wide, const PlaceIn& deep,
                    size_t output);
// output = the convolution of the wide side, or the transposed convolution of the deep one, with the convolution's
// weights.
bool addDataDiff(StepBuilder& step, const FilterSides& sides, bool toWide, const PlaceIn& from, size_t output);
// Sums a diff of this shape over images and pixels.
void addBiasDiff(StepBuilder& step, const Shape& shape, const PlaceIn& diff, size_t output);

}  // namespace resnode::cpu
