// The host versions of cuda/ptx.h against the PTX ISA's description of the instructions. Its tables are written out
// here, because ptx.h and emulator/ptx.h treat the same layouts as words.
#include "cuda/ptx.h"

#include <array>
#include <cstring>

#include "test/cuda/kernels/harness.h"

namespace resnode::test {
namespace {

struct Place {
  int row, column;
};

// "Matrix Fragments for mma.m16n8k16 with floating point type": element i of lane groupID·4 + threadID_in_group.
struct Half16 {
  static constexpr int depth = 16, aElements = 8, bElements = 4;
  static Place a(int group, int t, int i) {
    return {i < 2 || (4 <= i && i < 6) ? group : group + 8, i < 4 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8};
  }
  static Place b(int group, int t, int i) { return {i < 2 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8, group}; }
};

// "Matrix Fragments for mma.m16n8k8", .tf32.
struct Tf32 {
  static constexpr int depth = 8, aElements = 4, bElements = 2;
  static Place a(int group, int t, int i) { return {i == 0 || i == 2 ? group : group + 8, i < 2 ? t : t + 4}; }
  static Place b(int group, int t, int i) { return {i == 0 ? t : t + 4, group}; }
};

// Accumulators of both.
Place accumulator(int group, int t, int i) { return {i < 2 ? group : group + 8, t * 2 + (i & 1)}; }

template <class T>
__global__ void multiplyOnce(const uint32_t* a, const uint32_t* b, float* d) {
  const int lane = threadIdx.x;
  uint32_t myA[4], myB[2];
  float sums[4];
  for (int i = 0; i < 4; ++i) myA[i] = a[lane * 4 + i], sums[i] = d[lane * 4 + i];
  for (int i = 0; i < 2; ++i) myB[i] = b[lane * 2 + i];
  cuda::multiplyAdd<T>(sums, myA, myB);
  for (int i = 0; i < 4; ++i) d[lane * 4 + i] = sums[i];
}

template <class T, class Layout>
void checkMultiply(bool tf32) {
  auto a = randomMemory<T>(16 * Layout::depth, 1), b = randomMemory<T>(Layout::depth * 8, 2);
  const auto c = randomMemory<float>(16 * 8, 3);
  if (tf32) {
    for (auto* values : {&a, &b}) {
      for (size_t i = 0; i < values->size(); ++i) {  // drops the 13 bits that tf32 lacks
        float& value = reinterpret_cast<float&>((*values)[i]);
        uint32_t bits;
        std::memcpy(&bits, &value, 4);
        bits &= 0xffffe000;
        std::memcpy(&value, &bits, 4);
      }
    }
  }
  Memory<uint32_t> fragmentsA(32 * 4), fragmentsB(32 * 2);
  Memory<float> d(32 * 4);
  char* bytesA = reinterpret_cast<char*>(fragmentsA.data());
  char* bytesB = reinterpret_cast<char*>(fragmentsB.data());
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2, t = lane % 4;
    for (int i = 0; i < Layout::aElements; ++i) {
      const Place place = Layout::a(group, t, i);
      std::memcpy(bytesA + lane * 16 + i * sizeof(T), &a[place.row * Layout::depth + place.column], sizeof(T));
    }
    for (int i = 0; i < Layout::bElements; ++i) {
      const Place place = Layout::b(group, t, i);
      std::memcpy(bytesB + lane * 8 + i * sizeof(T), &b[place.row * 8 + place.column], sizeof(T));
    }
    for (int i = 0; i < 4; ++i) {
      const Place place = accumulator(group, t, i);
      d[lane * 4 + i] = c[place.row * 8 + place.column];
    }
  }
  cuda::launch(multiplyOnce<T>, {dim3(1), dim3(32)}, nullptr, fragmentsA.data(), fragmentsB.data(), d.data());
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const Place place = accumulator(lane >> 2, lane % 4, i);
      double sum = c[place.row * 8 + place.column], size = std::fabs(sum);
      for (int k = 0; k < Layout::depth; ++k) {
        const double product =
            double(cuda::toFloat(a[place.row * Layout::depth + k])) * cuda::toFloat(b[k * 8 + place.column]);
        sum += product;
        size += std::fabs(product);
      }
      near(d[lane * 4 + i], sum, 0, (Layout::depth + 1) * std::ldexp(size, -23),
           sizes("row", place.row, "column", place.column));
    }
  }
}

__global__ void loadRows(const uint32_t* words, const int* rows, uint32_t* out) {
  RESNODE_DYNAMIC_SHARED(uint32_t, memory);
  const int lane = threadIdx.x;
  for (int i = lane; i < 128; i += 32) memory[i] = words[i];
  __syncwarp();
  uint32_t r[4];
  cuda::loadMatrices(r, cuda::sharedAddress(memory + rows[lane] * 4));
  for (int i = 0; i < 4; ++i) out[lane * 4 + i] = r[i];
}

template <int bytes>
__global__ void copyTwice(const unsigned char* from, unsigned char* early, unsigned char* middle, unsigned char* late,
                          int valid) {
  RESNODE_DYNAMIC_SHARED(unsigned char, memory);
  const int at = threadIdx.x * bytes, second = at + 32 * bytes;
  cuda::copyAsync<bytes>(cuda::sharedAddress(memory + at), from + at, static_cast<int>(threadIdx.x) < valid);
  cuda::commitCopies();
  cuda::copyAsync<bytes>(cuda::sharedAddress(memory + second), from + second, true);
  cuda::commitCopies();
  for (int i = 0; i < bytes; ++i) early[at + i] = memory[at + i];
  cuda::waitForCopies<1>();
  for (int i = 0; i < bytes; ++i) middle[at + i] = memory[at + i], middle[second + i] = memory[second + i];
  cuda::waitForCopies<0>();
  for (int i = 0; i < bytes; ++i) late[second + i] = memory[second + i];
}

template <int bytes>
void checkCopies() {
  const int half = 32 * bytes, valid = 20;
  Memory<unsigned char> from(2 * half), early(2 * half), middle(2 * half), late(2 * half);
  for (int i = 0; i < 2 * half; ++i) from[i] = static_cast<unsigned char>(i % 251);
  cuda::launch(copyTwice<bytes>, {dim3(1), dim3(32), 2 * static_cast<size_t>(half)}, nullptr, from.data(), early.data(),
               middle.data(), late.data(), valid);
  for (int i = 0; i < half; ++i) {
    const std::string what = sizes("copy of", bytes, "byte", i);
#ifdef RESNODE_EMULATE  // a GPU may copy early
    expect(early[i] == 0xff, what + " came before its wait");
    expect(middle[half + i] == 0xff, what + " of the second group came with the first");
#endif
    expect(middle[i] == (i / bytes < valid ? from[i] : 0), what + " is wrong after its wait");
    expect(late[half + i] == from[half + i], what + " of the second group is wrong");
  }
}

__global__ void roundWords(const uint32_t* in, uint32_t* out) { out[threadIdx.x] = cuda::roundToTf32(in[threadIdx.x]); }

}  // namespace

RESNODE_TEST(ptx, "mma.sync m16n8k16 of float16") { checkMultiply<__half, Half16>(false); }
RESNODE_TEST(ptx, "mma.sync m16n8k16 of bfloat16") { checkMultiply<__nv_bfloat16, Half16>(false); }
RESNODE_TEST(ptx, "mma.sync m16n8k8 of tf32") { checkMultiply<float, Tf32>(true); }

// "ldmatrix": lanes 8i to 8i + 7 give the rows of matrix i; lane l receives elements 2·(l % 4) and the next of row l /
// 4.
RESNODE_TEST(ptx, "ldmatrix x4") {
  Memory<uint32_t> words(128), out(128);
  Memory<int> rows(32);
  for (int i = 0; i < 128; ++i) words[i] = 1000 + i;
  for (int i = 0; i < 32; ++i) rows[i] = i * 11 % 32;
  cuda::launch(loadRows, {dim3(1), dim3(32), 512}, nullptr, words.data(), rows.data(), out.data());
  for (int lane = 0; lane < 32; ++lane) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      const uint32_t expected = 1000 + rows[matrix * 8 + lane / 4] * 4 + lane % 4;
      expect(out[lane * 4 + matrix] == expected, sizes("lane", lane, "matrix", matrix));
    }
  }
}

RESNODE_TEST(ptx, "cp.async: zeros, groups, waits") {
  checkCopies<4>();
  checkCopies<8>();
  checkCopies<16>();
}

// cvt.rna: nearest, ties away from zero.
RESNODE_TEST(ptx, "rounding to tf32") {
  const std::vector<std::array<uint32_t, 2>> cases{{0x3f800fff, 0x3f800000}, {0x3f801000, 0x3f802000},
                                                   {0xbf801000, 0xbf802000}, {0x3f803000, 0x3f804000},
                                                   {0x3fffffff, 0x40000000}, {0x7f7fffff, 0x7f800000},
                                                   {0x7f800000, 0x7f800000}, {0xff800000, 0xff800000},
                                                   {0x80000000, 0x80000000}, {0, 0}};
  Memory<uint32_t> in(cases.size()), out(cases.size());
  for (size_t i = 0; i < cases.size(); ++i) in[i] = cases[i][0];
  cuda::launch(roundWords, {dim3(1), dim3(static_cast<unsigned>(cases.size()))}, nullptr, in.data(), out.data());
  for (size_t i = 0; i < cases.size(); ++i) expect(out[i] == cases[i][1], "case " + std::to_string(i));
}

}  // namespace resnode::test
