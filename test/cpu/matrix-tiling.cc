// Convolutions by products of matrices (cpu-matrix-tiling.h) with loops instead of AMX, so that every processor can run
// them, under AddressSanitizer and UBSan: each line of output is a case. Sources, padded by the sanitizer's red zones, are
// random bytes, and results are compared with those of plain loops.
#include "native/operations/convolution/cpu-matrix-tiling.h"

#include <cstdio>
#include <cstring>
#include <random>

#include "native/cpu/bfloat16.h"

using namespace resnode;
using namespace resnode::cpu;

namespace {

// Register r has the sums of pixels r / 2 and channels r % 2.
thread_local int64_t rowBytes;
thread_local int32_t registers[4][kMatrixRows][kMatrixRows];

void begin(int64_t bytes) { rowBytes = bytes; }
void end() { rowBytes = 0; }
void start(const float*) { std::memset(registers, 0, sizeof registers); }

// An integer in bfloat16.
struct Bfloat16 {
  uint16_t bits;
  operator int32_t() const { return static_cast<int32_t>(fromBfloat16(bits)); }
};

template <class Value>
int32_t integerAt(const char* bytes) {
  Value value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

template <class Pixel, class Weight, int kPixelMatrices, int kChannelMatrices>
void multiply(const MatrixArguments& a) {
  const char* weights = a.weights;
  for (int64_t step = 0; step < a.steps; ++step, weights += kChannelMatrices * kMatrixBytes) {
    for (int64_t pixel = 0; pixel < kPixelMatrices * kMatrixRows; ++pixel) {
      const char* source = a.source + a.offsets[step] + pixel * a.pixelBytes;
      for (int64_t channel = 0; channel < kChannelMatrices * kMatrixRows; ++channel) {
        int32_t& sum =
            registers[pixel / kMatrixRows * 2 + channel / kMatrixRows][pixel % kMatrixRows][channel % kMatrixRows];
        const char* column = weights + channel / kMatrixRows * kMatrixBytes + channel % kMatrixRows * 4;
        for (int64_t i = 0; i < rowBytes; i += sizeof(Pixel))
          sum += integerAt<Pixel>(source + i) * integerAt<Weight>(column + i / 4 * kMatrixRowBytes + i % 4);
      }
    }
  }
}

template <int kPixelMatrices, int kChannelMatrices>
void store(void* to) {
  auto* sums = static_cast<int32_t*>(to);
  for (int64_t pixel = 0; pixel < kPixelMatrices * kMatrixRows; ++pixel) {
    for (int64_t channel = 0; channel < kChannelMatrices * kMatrixRows; ++channel)
      *sums++ = registers[pixel / kMatrixRows * 2 + channel / kMatrixRows][pixel % kMatrixRows][channel % kMatrixRows];
  }
}

template <class Pixel, class Weight>
void fill(MatrixKernels& kernels, MatrixType type) {
  auto& functions = kernels.multiply[static_cast<int>(type)];
  functions[0][0] = multiply<Pixel, Weight, 1, 1>;
  functions[0][1] = multiply<Pixel, Weight, 1, 2>;
  functions[1][0] = multiply<Pixel, Weight, 2, 1>;
  functions[1][1] = multiply<Pixel, Weight, 2, 2>;
}

MatrixKernels plainKernels() {
  MatrixKernels kernels{"loops",        begin, end,
                        {start, start}, {},    {{store<1, 1>, store<1, 2>}, {store<2, 1>, store<2, 2>}}};
  fill<uint8_t, int8_t>(kernels, MatrixType::uint8);
  fill<int8_t, int8_t>(kernels, MatrixType::int8);
  fill<Bfloat16, Bfloat16>(kernels, MatrixType::bfloat16);
  return kernels;
}

struct Case {
  Shape in;
  int64_t outputs;
  Pair kernel, stride, pad, dilation;
};

Shape resultOf(const Case& each) {
  const auto size = [](int64_t in, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
    return (in + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
  };
  return {each.in[0], each.outputs,
          size(each.in[2], each.kernel.height, each.stride.height, each.pad.height, each.dilation.height),
          size(each.in[3], each.kernel.width, each.stride.width, each.pad.width, each.dilation.width)};
}

// Where a value of a blocked map is.
size_t placeOf(const Shape& shape, int64_t image, int64_t channel, int64_t row, int64_t column) {
  const int64_t block = image * ceiling(shape[1], kLanes) + channel / kLanes;
  return static_cast<size_t>(((block * shape[2] + row) * shape[3] + column) * kLanes + channel % kLanes);
}
size_t sizeOf(const Shape& shape) {
  return static_cast<size_t>(shape[0] * ceiling(shape[1], kLanes) * kLanes * shape[2] * shape[3]);
}

// Bytes are stored as they are in the blocked source; in bfloat16 the source is row-major, in float32.
bool isRight(const Case& each, MatrixType type, int threads) {
  const Shape out = resultOf(each);
  std::mt19937 random(static_cast<unsigned>(each.outputs * 1000 + each.in[1]));
  const auto byte = [&] { return static_cast<int8_t>(random()); };
  Convolution convolution;
  convolution.kernel = each.kernel, convolution.stride = each.stride, convolution.pad = each.pad;
  convolution.dilation = each.dilation, convolution.group = 1;
  const Filter filter(convolution, each.in, out);
  const bool isBytes = type != MatrixType::bfloat16;
  const MatrixTiling tiling = isBytes ? MatrixTiling(filter, each.in[0], 1) : MatrixTiling(filter, each.in[0]);
  ThreadPool pool(threads);

  const int64_t taps = each.kernel.height * each.kernel.width;
  std::vector<int8_t> source(sizeOf(each.in)), weights(each.outputs * each.in[1] * taps), packed(tiling.weightsBytes());
  for (int8_t& value : source) value = byte();
  for (int8_t& value : weights) value = byte();
  std::vector<float> plain;
  for (int64_t i = 0; i < each.in[0] * each.in[1]; ++i) {
    for (int64_t pixel = 0; pixel < each.in[2] * each.in[3]; ++pixel)
      plain.push_back(source[placeOf(each.in, i / each.in[1], i % each.in[1], pixel / each.in[3], pixel % each.in[3])]);
  }
  tiling.forEachWeight(pool, [&](int64_t at, int64_t, int64_t weight) {
    const uint16_t rounded = toBfloat16(weights[weight]);
    if (isBytes) packed[at] = weights[weight];
    else std::memcpy(&packed[at], &rounded, sizeof rounded);
  });
  std::vector<char> scratch(tiling.scratchBytes(threads));
  std::vector<int32_t> result(sizeOf(out), -1);
  const MatrixKernels kernels = plainKernels();
  const void* from = isBytes ? static_cast<const void*>(source.data()) : plain.data();
  tiling.run(pool, {&kernels, type, from, packed.data(), nullptr, scratch.data()}, [&](const MatrixPlace& place) {
    const auto* sums = static_cast<const int32_t*>(place.sums);
    for (int pixel = 0; pixel < place.pixels; ++pixel) {
      for (int block = 0; block < place.blocks; ++block)
        std::copy_n(sums + (pixel * place.blocks + block) * kLanes, kLanes,
                    result.begin() + place.result + block * tiling.resultPlane() + pixel * kLanes);
    }
  });

  for (int64_t image = 0; image < out[0]; ++image) {
    for (int64_t output = 0; output < out[1]; ++output) {
      for (int64_t i = 0; i < out[2] * out[3]; ++i) {
        const int64_t row = i / out[3], column = i % out[3];
        int32_t sum = 0;
        for (int64_t tap = 0; tap < taps; ++tap) {
          const int64_t y = row * each.stride.height - each.pad.height + tap / each.kernel.width * each.dilation.height;
          const int64_t x = column * each.stride.width - each.pad.width + tap % each.kernel.width * each.dilation.width;
          if (y < 0 || y >= each.in[2] || x < 0 || x >= each.in[3]) continue;
          for (int64_t channel = 0; channel < each.in[1]; ++channel) {
            const int8_t value = source[placeOf(each.in, image, channel, y, x)];
            sum += (type == MatrixType::uint8 ? static_cast<uint8_t>(value) : value) *
                   weights[(output * each.in[1] + channel) * taps + tap];
          }
        }
        if (result[placeOf(out, image, output, row, column)] != sum) return false;
      }
    }
  }
  return true;
}

const Case kCases[] = {
    {{1, 64, 7, 7}, 64, {1, 1}, {1, 1}, {0, 0}, {1, 1}},   {{3, 128, 5, 9}, 48, {1, 1}, {1, 1}, {0, 0}, {1, 1}},
    {{2, 70, 6, 7}, 33, {3, 3}, {1, 1}, {1, 1}, {1, 1}},   {{5, 64, 3, 4}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
    {{2, 96, 9, 8}, 20, {3, 3}, {2, 2}, {1, 1}, {1, 1}},   {{1, 64, 14, 14}, 100, {1, 1}, {2, 2}, {0, 0}, {1, 1}},
    {{1, 130, 8, 11}, 17, {5, 3}, {1, 3}, {2, 0}, {1, 1}}, {{1, 64, 9, 21}, 32, {3, 3}, {1, 1}, {8, 8}, {8, 8}},
    {{2, 16, 6, 5}, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1}},   {{2, 48, 7, 6}, 24, {3, 2}, {2, 1}, {0, 1}, {2, 1}},
    {{1, 32, 40, 33}, 8, {1, 1}, {1, 1}, {0, 0}, {1, 1}},  {{1, 5, 4, 4}, 3, {4, 4}, {1, 1}, {3, 3}, {1, 1}},
    {{1, 64, 2, 2}, 40, {3, 3}, {3, 3}, {2, 2}, {1, 1}},
};

// Sources of few channels. The last pixel of a line may be the first of 16 that are read, each a stride apart.
const Case kFewChannels[] = {
    {{2, 3, 19, 21}, 33, {7, 7}, {2, 2}, {3, 3}, {1, 1}},
    {{1, 1, 9, 14}, 20, {5, 4}, {1, 3}, {4, 2}, {1, 1}},
    {{2, 4, 8, 9}, 18, {3, 1}, {1, 1}, {2, 0}, {2, 1}},
    {{1, 3, 33, 70}, 16, {1, 8}, {32, 32}, {0, 0}, {1, 1}},
};

void report(const Case& each, MatrixType type, const char* name) {
  for (const int threads : {1, 3}) {
    std::printf("%s %s, %ldx%ldx%ldx%ld to %ld channels, kernel %ldx%ld, %d threads\n",
                isRight(each, type, threads) ? "ok" : "failed", name, each.in[0], each.in[1], each.in[2], each.in[3],
                each.outputs, each.kernel.height, each.kernel.width, threads);
  }
}

}  // namespace

int main() {
  // So that a sanitizer that ends the process leaves the lines before.
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  for (const Case& each : kCases) {
    report(each, MatrixType::uint8, "unsigned bytes");
    report(each, MatrixType::int8, "signed bytes");
  }
  for (const Case& each : kFewChannels) report(each, MatrixType::bfloat16, "bfloat16");
}
