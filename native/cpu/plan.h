// One step per operation: a oneDNN primitive with the layouts that it wants, or the reference loops on plain data.
#pragma once

#include <dnnl.hpp>
#include <optional>
#include <set>

#include "core/plain.h"

namespace resnode::cpu {

using Layout = dnnl::memory::desc;

// A weight argument: packed from its plain layout `from` to `to`.
struct WeightArgument {
  int argument;  // DNNL_ARG_*
  ParameterId id;
  Layout from, to;
};

// An input that must be reordered first; `buffer` holds the result.
struct Conversion {
  size_t input;
  Layout from, to;
  int buffer;
};

struct Step {
  std::optional<dnnl::primitive> primitive;  // empty: reference
  std::vector<int> inputArguments;           // DNNL_ARG_* of each input, −1: not an argument (a residual in place)
  std::vector<Layout> inputLayouts;          // as the primitive wants them
  Layout outputLayout;
  std::vector<WeightArgument> weights;
  std::vector<Conversion> conversions;
  bool copyResidual = false;  // the residual outlives this step: copy it to the output first
  size_t scratchBytes = 0;
  Layout scratch;
};

class CpuPlan final : public Plan {
 public:
  CpuPlan(std::shared_ptr<const Program> program, const dnnl::engine& engine, bool winograd);
  const Program& program() const override { return *program_; }
  const PlanDescription& description() const override { return description_; }
  const std::vector<Step>& steps() const { return steps_; }
  const Layout& layout(TensorId id) const { return layouts_[id]; }

 private:
  void addReference(const Operation& operation, Step& step);
  bool addConvolution(const Operation& operation, const Convolution& convolution, Step& step);
  bool addPooling(const Operation& operation, const Pooling& pooling, Step& step);
  bool addInnerProduct(const Operation& operation, const InnerProduct& innerProduct, Step& step);
  bool addActivation(const Operation& operation, dnnl::algorithm algorithm, float alpha, Step& step);
  void finish(int index, Step& step);

  std::shared_ptr<const Program> program_;
  dnnl::engine engine_;
  bool winograd_;
  std::vector<Layout> layouts_;  // per tensor, as its maker leaves it
  std::vector<Lifetime> lifetimes_;
  std::set<ParameterId> plainParameters_;  // read by the reference loops
  std::vector<Step> steps_;
  std::string implementation_;
  PlanDescription description_;
};

// Row-major float32.
Layout plainLayout(const Shape& shape);

}  // namespace resnode::cpu
