// The gradients of convolutions and of their transposes by our tiles. Both are seen as the convolution that leads from the
// larger side, `wide`, to the smaller one, `deep`: of a deconvolution, from its result's diff to its source.
#pragma once

#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/convolution/cpu-window.h"

namespace resnode::cpu {

// Where a tensor lies in the layout that is asked for.
using PlaceIn = std::function<Place(const Layout&)>;

struct FilterSides {
  Convolution convolution;
  Shape wide, deep;
};

// The next two tell whether Winograd's algorithm computes the diff.
// `output`: of the step, the weights' diff; `wide` and `deep`: the source and the result's diff, or the other way round.
bool addWeightsDiff(StepBuilder& step, const FilterSides& sides, const PlaceIn& wide, const PlaceIn& deep,
                    size_t output);
// output = the convolution of the wide side, or its transpose of the deep one, with the convolution's weights.
bool addDataDiff(StepBuilder& step, const FilterSides& sides, bool toWide, const PlaceIn& from, size_t output);
// The sums of a diff of this shape over images and pixels.
void addBiasDiff(StepBuilder& step, const Shape& shape, const PlaceIn& diff, size_t output);

}  // namespace resnode::cpu
