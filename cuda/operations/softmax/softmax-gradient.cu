#include "cuda/operations/softmax/softmax-gradient.h"

#include "cuda/operations/softmax/softmax-row.h"

namespace resnode::cuda {
namespace {

// One team (a warp or a thread) per position.
template <class Team>
__global__ void softmaxGradient(const float* y, const float* dy, float* dx, int64_t positions, int64_t channels,
                                int64_t inner) {
  const Team team;
  const int64_t position = positionOf(team);
  if (position >= positions) return;
  const int64_t start = startOf(position, channels, inner);
  float sum = 0;
  for (int64_t c = team.first(); c < channels; c += team.step()) sum += dy[start + c * inner] * y[start + c * inner];
  sum = team.reduce(sum, 0.0f, Add());
  for (int64_t c = team.first(); c < channels; c += team.step()) {
    const int64_t at = start + c * inner;
    dx[at] = y[at] * (dy[at] - sum);
  }
}

}  // namespace

void launchSoftmaxGradient(const Softmax& softmax, const float* y, const float* dy, float* dx, cudaStream_t stream) {
  const int64_t positions = softmax.outer * softmax.inner;
  if (positions * softmax.channels == 0) return;
  if (softmax.inner == 1)
    launch(softmaxGradient<OneWarp>, gridFor(positions * 32, 128), stream, y, dy, dx, positions, softmax.channels,
           softmax.inner);
  else
    launch(softmaxGradient<OneThread>, gridFor(positions, 128), stream, y, dy, dx, positions, softmax.channels,
           softmax.inner);
}

}  // namespace resnode::cuda
