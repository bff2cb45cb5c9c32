// Two `Halves` side by side, for files compiled with the operations of either.
#pragma once

#include <cstdint>

namespace resnode::cpu {
namespace {

// Those of two pixels.
struct HalvesPair {
  Halves first, second;
};

inline HalvesPair pairOf(const Halves& first, const Halves& second) { return {first, second}; }
template <bool kIsSigned>
inline HalvesPair loadPair(const uint8_t* x) {
  return {loadHalves<kIsSigned>(x), loadHalves<kIsSigned>(x + 16)};
}
inline void storePair(int16_t* first, int16_t* second, const HalvesPair& x) {
  storeHalves(first, x.first);
  storeHalves(second, x.second);
}
inline HalvesPair firstsOf(const HalvesPair& a, const HalvesPair& b) { return {a.first, b.first}; }
inline HalvesPair secondsOf(const HalvesPair& a, const HalvesPair& b) { return {a.second, b.second}; }
inline HalvesPair plus(const HalvesPair& a, const HalvesPair& b) {
  return {plus(a.first, b.first), plus(a.second, b.second)};
}
inline HalvesPair minus(const HalvesPair& a, const HalvesPair& b) {
  return {minus(a.first, b.first), minus(a.second, b.second)};
}
template <int kBits>
inline HalvesPair shiftLeft(const HalvesPair& a) {
  return {shiftLeft<kBits>(a.first), shiftLeft<kBits>(a.second)};
}

}  // namespace
}  // namespace resnode::cpu
