// Inner products in bfloat16, computed by our tiles as pointwise convolutions whose pixels are the images. The results,
// mostly scores, are float32.
#include "native/cpu/blocked-copy.h"
#include "native/operations/convolution/cpu-bfloat16.h"
#include "native/operations/convolution/cpu-steps.h"
#include "native/operations/inner-product/cpu-steps.h"

namespace resnode::cpu {

bool addBfloat16InnerProduct(StepBuilder& step, const InnerProduct& innerProduct) {
  const Bfloat16Kernels* kernels = step.state().bfloat16Kernels;
  const Shape in = step.inputShape(0);
  if (!kernels || innerProduct.axis != 1 || (in.size() != 2 && in.size() != 4)) return false;
  if (step.program().parameters[innerProduct.weights].isMutable) return false;
  const int64_t images = in[0], inputs = elementCount(in) / in[0], outputs = innerProduct.numOutput;
  Convolution convolution;
  convolution.weights = innerProduct.weights;
  convolution.bias = innerProduct.bias;
  convolution.pad = {0, 0};
  const Shape row{1, inputs, 1, images}, sums{1, outputs, 1, images};
  Filter filter(convolution, row, sums);
  filter.isTransposed = innerProduct.transpose;
  const Bfloat16Convolution algorithm(*kernels, filter, 1, true);
  const Place x = step.readPlain(0), y = step.writePlain(0), source = step.temporary(bfloat16Layout(row)),
              result = step.temporary(blockedLayout(sums));
  const Place weights = packedBy(step, algorithm, innerProduct.weights, "bfloat16 " + filter.name());
  const Place bias = innerProduct.bias ? parameterInBlocks(step, *innerProduct.bias, outputs) : Place{};
  const FusedActivation activation(innerProduct);
  step.call({x, source, weights, bias, result, y, slopesInBlocks(step, activation, outputs)},
            [=, pool = step.pool()](const std::vector<void*>& at) -> Work {
              const Bfloat16Operands operands{at[1],
                                              at[2],
                                              static_cast<float*>(at[3]),
                                              nullptr,
                                              at[4],
                                              nullptr,
                                              activation.bind(static_cast<float*>(at[6]))};
              return [=, x = static_cast<float*>(at[0]), source = static_cast<uint16_t*>(at[1]),
                      result = static_cast<float*>(at[4]), y = static_cast<float*>(at[5])] {
                roundMatrix(*pool, images, inputs, x, source);
                algorithm.run(*pool, operands);
                blocksToMatrix(*pool, images, outputs, result, y);
              };
            });
  step.describe(std::string("bfloat16 direct ") + algorithm.instructionSet());
  return true;
}

}  // namespace resnode::cpu
