#include "cuda/convolution/diff-norm-trial.h"

#include "cuda/kernels/behind-relu.h"
#include "cuda/kernels/trial.h"
#include "cuda/operations/batch-norm/batch-norm-gradient.h"
#include "cuda/operations/scale/affine.h"

namespace resnode::cuda {
namespace {

constexpr int kSets = 2, kSumsOfSet = 2;
constexpr uint32_t kSeed = 7;  // differs from the seeds of a trial's other noise

ChannelShape shapeOf(const Nhwc& map, ElementType type) { return {map.pixels(), {map.c, map.paddedChannels, 1}, type}; }

}  // namespace

// A channel's numbers are chosen so that float32 keeps all digits near the ReLU's edge, in any order of operations, and
// 16 bits keep the sign. Otherwise one implementation's ReLU could pass a value that another cuts.
DiffNormTrial::DiffNormTrial(const ConvolutionProblem& problem, cudaStream_t stream)
    : map_(problem.input), type_(problem.type), stream_(stream) {
  input_ = allocateHere(map_.elements() * bytesOf(type_));
  launchNoise(type_, input_.get(), {map_.pixels(), map_.c, map_.pixels(), map_.paddedChannels}, 1, kSeed, stream_);
  std::vector<float> numbers(kScratch * map_.c);
  for (int64_t c = 0; c < map_.c; ++c) {
    const float wave = static_cast<float>(c % 7 - 3) / 16, inverse = c % 2 ? 2.0f : 1.0f, gamma = c % 3 ? 1.0f : -2.0f;
    const float ofChannel[] = {wave, 1 / (inverse * inverse), inverse, gamma, gamma * inverse, -wave / 2};
    for (int which = 0; which < kScratch; ++which) numbers[which * map_.c + c] = ofChannel[which];
  }
  const int64_t floats =
      kSets * kSumsOfSet * map_.c + kScratch * map_.c + batchNormGradientScratch(shapeOf(map_, type_));
  channels_ = allocateHere(floats * sizeof(float));
  RESNODE_CUDA(
      cudaMemcpyAsync(part(kMean), numbers.data(), numbers.size() * sizeof(float), cudaMemcpyHostToDevice, stream_));
  RESNODE_CUDA(cudaStreamSynchronize(stream_));
}

float* DiffNormTrial::sums(Sums which) const {
  return reinterpret_cast<float*>(channels_.get()) + which * kSumsOfSet * map_.c;
}

float* DiffNormTrial::part(Part which) const { return sums(kExpected) + (kSets * kSumsOfSet + which) * map_.c; }

DiffNorm DiffNormTrial::arguments() const {
  float* found = sums(kFound);
  return {input_.get(), part(kMean), part(kInverse), part(kGamma), part(kBeta), found, found + map_.c};
}

void DiffNormTrial::makeSums(const void* diff, Sums which) const {
  BatchNormGradient of;
  of.behind = {diff, input_.get(), 0};  // in 16 bits the sign is computed from x, whatever y is
  of.x = input_.get();
  of.mean = part(kMean);
  of.variance = part(kVariance);
  of.gamma = part(kGamma);
  of.beta = part(kBeta);
  of.dBias = sums(which);
  of.dScale = of.dBias + map_.c;
  launchBatchNormGradient(of, shapeOf(map_, type_), part(kScratch), stream_);
}

void DiffNormTrial::bringThroughRelu(const void* diff, void* scratch, void* behind) const {
  Affine affine{map_.pixels(), map_.c, 1, map_.paddedChannels};
  affine.center = part(kMean);
  affine.scale = part(kSpread);
  affine.bias = part(kBeta);
  launchAffine(affine, type_, input_.get(), scratch, stream_);
  launchBehindRelu({diff, scratch, 0}, behind, shapeOf(map_, type_), stream_);
}

}  // namespace resnode::cuda
