// lstm_unit_layer.cpp. As in Caffe, the diff of the forget gate is f·(1 − f) of the gate times cont.
#pragma once

#include "native/core/portable.h"

namespace resnode {

template <class Real>
struct LstmGates {
  Real i, f, o, g, c, tanhC;
};

struct LstmCell {
  const float *before, *gates, *cont;
  int64_t size;  // D

  template <class Real>
  RESNODE_HOST_DEVICE LstmGates<Real> at(int64_t place) const {
    const int64_t n = place / size;
    const float* x = gates + n * 4 * size + place % size;
    LstmGates<Real> gate;
    gate.i = logistic(Real(x[0]));
    gate.f = cont[n] == 0 ? Real(0) : Real(cont[n]) * logistic(Real(x[size]));
    gate.o = logistic(Real(x[2 * size]));
    gate.g = std::tanh(Real(x[3 * size]));
    gate.c = gate.f * Real(before[place]) + gate.i * gate.g;
    gate.tanhC = std::tanh(gate.c);
    return gate;
  }
};

struct LstmStep {
  LstmCell cell;
  float *c, *h;
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t place) const {
    const LstmGates<Real> gate = cell.at<Real>(place);
    c[place] = static_cast<float>(gate.c);
    h[place] = static_cast<float>(gate.o * gate.tanhC);
  }
};

struct LstmDiff {
  LstmCell cell;
  const float *dc, *dh;     // null: 0
  float *dBefore, *dGates;  // null: not requested
  template <class Real>
  RESNODE_HOST_DEVICE void item(int64_t place) const {
    const LstmGates<Real> gate = cell.at<Real>(place);
    const Real ofH = dh ? Real(dh[place]) : Real(0);
    const Real ofC = (dc ? Real(dc[place]) : Real(0)) + ofH * gate.o * (Real(1) - gate.tanhC * gate.tanhC);
    if (dBefore) dBefore[place] = static_cast<float>(ofC * gate.f);
    if (!dGates) return;
    const int64_t size = cell.size;
    float* diff = dGates + place / size * 4 * size + place % size;
    diff[0] = static_cast<float>(ofC * gate.g * gate.i * (Real(1) - gate.i));
    diff[size] = static_cast<float>(ofC * Real(cell.before[place]) * gate.f * (Real(1) - gate.f));
    diff[2 * size] = static_cast<float>(ofH * gate.tanhC * gate.o * (Real(1) - gate.o));
    diff[3 * size] = static_cast<float>(ofC * gate.i * (Real(1) - gate.g * gate.g));
  }
};

template <class Run>
void forward(const LstmUnit&, const Forward& at, Run& run) {
  const LstmCell cell{at.x[0], at.x[1], at.x[2], at.xShape[0].back()};
  run.each(elementCount(at.xShape[0]), LstmStep{cell, at.y[0], at.y[1]});
}

template <class Run>
void backward(const LstmUnit&, const Backward& at, Run& run) {
  const LstmCell cell{at.x[0], at.x[1], at.x[2], at.xShape[0].back()};
  run.each(elementCount(at.xShape[0]), LstmDiff{cell, at.dy[0], at.dy[1], at.dx[0], at.dx[1]});
}

}  // namespace resnode
