#include "cuda/operations/classifier-head/match.h"

#include <algorithm>

namespace resnode::cuda {
namespace {

// The operation that is the only reader of a tensor, if the tensor is no output of the program; −1 otherwise.
int onlyReader(const Program& program, TensorId id) {
  if (std::count(program.outputs.begin(), program.outputs.end(), id) > 0) return -1;
  int reader = -1;
  for (size_t i = 0; i < program.operations.size(); ++i) {
    const auto& inputs = program.operations[i].inputs;
    const auto count = std::count(inputs.begin(), inputs.end(), id);
    if (count > 1 || (count == 1 && reader >= 0)) return -1;
    if (count == 1) reader = static_cast<int>(i);
  }
  return reader;
}

bool isGlobalAverage(const Operation& operation, const std::vector<TensorLayout>& layouts) {
  const Pooling* pooling = operation.attributes.as<Pooling>();
  if (!pooling || pooling->method != PoolingMethod::average || !layouts[operation.inputs[0]].isNhwc) return false;
  const Nhwc &in = layouts[operation.inputs[0]].nhwc, &out = layouts[operation.outputs[0]].nhwc;
  return out.h == 1 && out.w == 1 && pooling->pad.height == 0 && pooling->pad.width == 0 &&
         pooling->kernel.height == in.h && pooling->kernel.width == in.w;
}

}  // namespace

std::vector<ClassifierHeadMatch> findClassifierHeads(const Program& program, const std::vector<TensorLayout>& layouts) {
  std::vector<ClassifierHeadMatch> heads;
  for (size_t i = 0; i < program.operations.size(); ++i) {
    if (!isGlobalAverage(program.operations[i], layouts)) continue;
    const int second = onlyReader(program, program.operations[i].outputs[0]);
    if (second < 0) continue;
    const auto* product = program.operations[second].attributes.as<InnerProduct>();
    if (!product || product->axis != 1 || product->relu || product->clip || product->slopes) continue;
    // The program may also output the scores, because the step writes them anyway.
    const TensorId scores = program.operations[second].outputs[0];
    for (size_t k = second + 1; k < program.operations.size(); ++k) {
      const Operation& operation = program.operations[k];
      const auto* softmax = operation.attributes.as<Softmax>();
      if (!softmax || operation.inputs[0] != scores || softmax->channels != product->numOutput || softmax->inner != 1)
        continue;
      // Other readers of the scores must come later, because the softmax's step writes them.
      const bool readBefore = std::any_of(
          program.operations.begin() + second + 1, program.operations.begin() + k,
          [&](const Operation& each) { return std::count(each.inputs.begin(), each.inputs.end(), scores) > 0; });
      if (!readBefore) heads.push_back({static_cast<int>(i), second, static_cast<int>(k)});
      break;
    }
  }
  return heads;
}

}  // namespace resnode::cuda
