#include "cuda/operations/convolution/integers-direct.h"

#include "cuda/operations/convolution/direct-window.h"
#include "cuda/operations/convolution/integers-epilogue.h"
#include "cuda/operations/convolution/shifted-bytes.h"
#include "cuda/ptx.h"

namespace resnode::cuda {

namespace {

// Neighbouring threads compute neighbouring channels of one pixel, so that its inputs are read once for all of them.
template <class T>
__global__ void __launch_bounds__(256)
    integersDirect(DirectWindow window, const T* input, const int8_t* weights, IntegersEpilogue epilogue) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= window.outputs) return;
  const int64_t pixel = index / epilogue.paddedChannels;
  const int channel = static_cast<int>(index - pixel * epilogue.paddedChannels);
  int sum = 0;
  if (channel < epilogue.channels) {
    window.eachPlace(pixel, channel, [&](int64_t x, int64_t y) {
      for (int c = 0; c < window.weightChannels; c += 4) {
        sum = addProducts<FactorOf<T>>(sum, factorsOf<T>(*reinterpret_cast<const uint32_t*>(input + x + c)),
                                       *reinterpret_cast<const uint32_t*>(weights + y + c));
      }
    });
  }
  epilogue.store(pixel, channel, sum);
}

}  // namespace

void launchIntegersDirect(const ConvolutionProblem& problem, const ConvolutionArguments& arguments,
                          cudaStream_t stream) {
  const DirectWindow window = directWindowOf(problem);
  if (window.outputs == 0) return;
  const auto launchOf = [&](auto integer) {
    using T = decltype(integer);
    launch(integersDirect<T>, gridFor(window.outputs), stream, window, static_cast<const T*>(arguments.input),
           static_cast<const int8_t*>(arguments.weights), integersEpilogueOf(problem, arguments));
  };
  if (problem.type == ElementType::uint8) launchOf(Unsigned8{});
  else launchOf(int8_t{});
}

}  // namespace resnode::cuda
