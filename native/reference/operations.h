// The specification of every operation: naive loops over plain row-major float32, accumulating in float64.
// The reference backend runs these; other backends are tested against them and use them for rare layers.
#pragma once

#include <functional>
#include <vector>

#include "native/core/kind-table.h"
#include "native/core/program.h"

namespace resnode::reference {

struct View {
  float* data = nullptr;  // null: not there (an id of −1)
  const Shape* shape = nullptr;
};

// Calls function(i) for each i of a part. The function must outlive it. (There are hundreds: a std::function of each would be
// a seventh of what all that stands here takes to compile.)
class Loop {
 public:
  template <class Function>
  explicit Loop(const Function& function) : function_(&function), run_(runOf<Function>) {}
  void operator()(int64_t from, int64_t to) const { run_(function_, from, to); }

 private:
  template <class Function>
  static void runOf(const void* function, int64_t from, int64_t to) {
    const auto& each = *static_cast<const Function*>(function);
    for (int64_t i = from; i < to; ++i) each(i);
  }

  const void* function_;
  void (*run_)(const void* function, int64_t from, int64_t to);
};

// Runs a loop over parts of 0 … count that make up the whole, `grain` long or so, in any order and on any thread.
using Spread = std::function<void(int64_t count, int64_t grain, const Loop& loop)>;

// Everything one operation reads and writes. `parameters` is indexed by ParameterId; plain float32.
struct Arguments {
  std::vector<View> inputs;
  std::vector<View> outputs;
  std::vector<float*> parameters;
  Communicator* communicator = nullptr;  // null: this process is alone
  const Program* program = nullptr;
  const Operation* operation = nullptr;
  Spread spread = {};  // none: all on this thread
};

template <class Function>
void forEach(const Spread& spread, int64_t count, int64_t grain, const Function& function) {
  const Loop loop(function);
  if (spread) spread(count, grain, loop);
  else loop(0, count);
}

// Fills inputs and outputs from the memory at each place of the operation, null where its id is −1. What is not there
// still has the shape of what it stands for, but for the diff of a parameter.
void bindArguments(const Program& program, const Operation& operation, const std::vector<float*>& inputs,
                   const std::vector<float*>& outputs, Arguments& arguments);

// Runs the operation that the arguments were bound to. Throws Error("label/invalid", ..., layer) for labels that no class has.
void run(const Arguments& arguments);

struct GradientArguments;

struct KindLoops {
  std::function<void(const Attributes&, const Arguments&)> forward;
  std::function<void(const Attributes&, const GradientArguments&)> backward;
};
KindTable<KindLoops>& kindLoops();

// The loops of a kind, registered where they stand: const Loops<Pooling> kLoops{pool, poolGradient};
template <class Kind>
class Loops {
 public:
  using Forward = void (*)(const Kind&, const Arguments&);
  using Backward = void (*)(const Kind&, const GradientArguments&);
  explicit Loops(Forward forward, Backward backward = nullptr) {
    KindLoops& loops = kindLoops().of<Kind>();
    loops.forward = [forward](const Attributes& kind, const Arguments& arguments) {
      forward(kind.get<Kind>(), arguments);
    };
    if (!backward) return;
    loops.backward = [backward](const Attributes& kind, const GradientArguments& arguments) {
      backward(kind.get<Kind>(), arguments);
    };
  }
};

// An integer from 0 to channels − 1, or Error("label/invalid").
int64_t checkedLabel(float label, int64_t channels, const std::string& layer);
bool isIgnored(float label, const std::optional<int64_t>& ignored);

// Slice and Concat are the same copy in two directions: copy(part's data, where it lies in the whole, length). Parts
// without data are passed over.
template <class Copy>
void alongAxis(const std::vector<View>& parts, const Shape& whole, int64_t axis, Copy copy) {
  int64_t outer = 1, inner = 1, start = 0;
  for (int64_t i = 0; i < axis; ++i) outer *= whole[i];
  for (size_t i = axis + 1; i < whole.size(); ++i) inner *= whole[i];
  for (const View& part : parts) {
    const int64_t length = (*part.shape)[axis] * inner;
    for (int64_t o = 0; part.data && o < outer; ++o)
      copy(part.data + o * length, (o * whole[axis] * inner) + start, length);
    start += length;
  }
}

}  // namespace resnode::reference
