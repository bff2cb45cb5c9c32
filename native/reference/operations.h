// The specification of every operation: naive loops over row-major float32 that accumulate in float64. The reference
// backend runs them. Other backends are tested against them, and use them for rare layers.
#pragma once

#include <functional>
#include <vector>

#include "native/core/kind-table.h"
#include "native/core/program.h"

namespace resnode::reference {

struct View {
  float* data = nullptr;  // null: absent (an id of −1)
  const Shape* shape = nullptr;
};

// Calls function(i) for each i of a part. The function must outlive it. (There are hundreds of them: a std::function
// for each would take a seventh of the time that compiling all loops takes.)
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

// Runs a loop over parts of 0 … count of about `grain` iterations, in any order and on any thread.
using Spread = std::function<void(int64_t count, int64_t grain, const Loop& loop)>;

// All that one operation reads and writes, in row-major float32. `parameters` is indexed by ParameterId.
struct Arguments {
  std::vector<View> inputs;
  std::vector<View> outputs;
  std::vector<float*> parameters;
  Communicator* communicator = nullptr;  // null: this process is alone
  const Program* program = nullptr;
  const Operation* operation = nullptr;
  Spread spread = {};  // empty: everything runs on this thread
};

template <class Function>
void forEach(const Spread& spread, int64_t count, int64_t grain, const Function& function) {
  const Loop loop(function);
  if (spread) spread(count, grain, loop);
  else loop(0, count);
}

// Binds inputs and outputs to the given memory, or null where the id is −1. An absent tensor still has the shape of the
// tensor that it stands for, unless it is the diff of a parameter.
void bindArguments(const Program& program, const Operation& operation, const std::vector<float*>& inputs,
                   const std::vector<float*>& outputs, Arguments& arguments);

// Runs the operation to which the arguments are bound. Throws Error("label/invalid", ..., layer) for invalid labels.
void run(const Arguments& arguments);

struct GradientArguments;

struct KindLoops {
  std::function<void(const Attributes&, const Arguments&)> forward;
  std::function<void(const Attributes&, const GradientArguments&)> backward;
};
KindTable<KindLoops>& kindLoops();

// The loops of a kind, registered in the file that defines them: const Loops<Pooling> kLoops{pool, poolGradient};
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

// The label as an integer from 0 to channels − 1. Throws Error("label/invalid").
int64_t checkedLabel(float label, int64_t channels, const std::string& layer);
bool isIgnored(float label, const std::optional<int64_t>& ignored);

// Slice and Concat are the same copy in two directions: copy(data of the part, offset in the whole, length). Parts
// without data are skipped.
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
