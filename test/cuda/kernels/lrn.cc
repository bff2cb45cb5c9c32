#include "cuda/operations/lrn/lrn.h"

#include "test/cuda/kernels/reference.h"

namespace resnode::cuda {
namespace {

RESNODE_TEST(lrn, "across channels and within one") {
  for (LrnRegion region : {LrnRegion::across, LrnRegion::within}) {
    for (int64_t size : {1, 3, 5, 7}) {
      for (const Shape& shape :
           {Shape{1, 1, 1, 1}, Shape{2, 3, 5, 7}, Shape{1, 31, 3, 3}, Shape{1, 33, 1, 1}, Shape{1, 2, 31, 33}}) {
        for (float beta : {0.75f, 2.0f, -0.5f}) {
          const Lrn lrn{region, size, 0.7f, beta, 1.5f};
          const auto input = test::randomMemory<float>(static_cast<size_t>(elementCount(shape)), 31, -5, 5);
          const auto expected = test::reference(lrn, {{shape, test::floatsOf(input)}}, shape);
          auto output = test::nanMemory<float>(input.size());
          launchLrn(lrn, input.data(), output.data(), shape[0], shape[1], shape[2], shape[3], nullptr);
          test::nearPlain(output, expected, 1e-5, 0,
                          std::string(region == LrnRegion::across ? "across " : "within ") +
                              test::sizes(shape[0], shape[1], shape[2], shape[3]) + " size " + std::to_string(size));
        }
      }
    }
  }
}

}  // namespace
}  // namespace resnode::cuda
