#include "native/reference/activation.h"
#include "native/reference/gradients.h"

namespace resnode::reference {
namespace {

void forward(const InnerProduct& innerProduct, const Arguments& arguments) {
  const Shape& in = *arguments.inputs[0].shape;
  int64_t rows = 1, depth = 1;
  for (size_t i = 0; i < in.size(); ++i) (static_cast<int64_t>(i) < innerProduct.axis ? rows : depth) *= in[i];
  const int64_t columns = innerProduct.numOutput;
  const float* x = arguments.inputs[0].data;
  const float* weights = arguments.parameters[innerProduct.weights];
  const float* bias = innerProduct.bias ? arguments.parameters[*innerProduct.bias] : nullptr;
  const int64_t columnStep = innerProduct.transpose ? 1 : depth, depthStep = innerProduct.transpose ? columns : 1;
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t n = 0; n < columns; ++n) {
      double sum = bias ? bias[n] : 0.0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += static_cast<double>(x[m * depth + k]) * weights[n * columnStep + k * depthStep];
      }
      arguments.outputs[0].data[m * columns + n] = static_cast<float>(activated(innerProduct, arguments, sum, n));
    }
  }
}

// inner_product_layer.cpp
void backward(const InnerProduct& innerProduct, const GradientArguments& arguments) {
  const Shape& in = *arguments.x[0].shape;
  int64_t rows = 1, depth = 1;
  for (size_t i = 0; i < in.size(); ++i) (static_cast<int64_t>(i) < innerProduct.axis ? rows : depth) *= in[i];
  const int64_t columns = innerProduct.numOutput;
  const float* x = arguments.x[0].data;
  const float* weights = arguments.parameters[innerProduct.weights];
  const int64_t columnStep = innerProduct.transpose ? 1 : depth, depthStep = innerProduct.transpose ? columns : 1;
  Sums dx(arguments.dx[0], depth), dw(arguments.dw[0], columns * depth), db(arguments.dw[1], columns);
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t n = 0; n < columns; ++n) {
      const double dy = behindRelu(innerProduct.relu, arguments.y[0], arguments.dy[0], m * columns + n);
      if (db) db.data()[n] += dy;
      for (int64_t k = 0; k < depth; ++k) {
        const int64_t weight = n * columnStep + k * depthStep;
        if (dx) dx.data()[k] += dy * weights[weight];
        if (dw) dw.data()[weight] += dy * x[m * depth + k];
      }
    }
    dx.write(m * depth);
  }
  dw.write();
  db.write();
}

const Loops<InnerProduct> kInnerProduct{forward, backward};

}  // namespace
}  // namespace resnode::reference
