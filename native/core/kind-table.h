// What a backend has for each kind of operation. A kind registers itself where its functions stand, so that a new one is a
// new file: there is no list of all kinds to extend.
#pragma once

#include <array>
#include <type_traits>
#include <utility>
#include <variant>

#include "native/core/operations.h"

namespace resnode {

// Which alternative `Kind` is. Asking a variant that holds one would compile what all kinds need to be copied and destroyed.
template <class Kind, class... Kinds>
constexpr size_t indexAmong(const std::variant<Kinds...>*) {
  size_t index = 0;
  const bool isFound = ((std::is_same_v<Kind, Kinds> || (++index, false)) || ...);
  return isFound ? index : std::variant_npos;
}
template <class Kind>
inline constexpr size_t kIndexOf = indexAmong<Kind>(static_cast<const Attributes*>(nullptr));

template <class Entry>
class KindTable {
 public:
  template <class Kind>
  Entry& of() {
    return entries_[kIndexOf<Kind>];
  }
  const Entry& of(const Attributes& attributes) const { return entries_[attributes.index()]; }

 private:
  std::array<Entry, std::variant_size_v<Attributes>> entries_{};
};

// Calls visit(Kind{}) for every kind.
template <class Visit, size_t... index>
void forEachKind(Visit visit, std::index_sequence<index...>) {
  (visit(std::variant_alternative_t<index, Attributes>{}), ...);
}
template <class Visit>
void forEachKind(Visit visit) {
  forEachKind(visit, std::make_index_sequence<std::variant_size_v<Attributes>>{});
}

}  // namespace resnode
