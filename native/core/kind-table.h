// What a backend has for each kind of operation. A kind registers itself where its functions stand, so that a new one is a
// new file: there is no list of all kinds to extend.
#pragma once

#include <array>

#include "native/core/operations.h"

namespace resnode {

template <class Entry>
class KindTable {
 public:
  template <class Kind>
  Entry& of() {
    return entries_[Attributes::indexOf<Kind>()];
  }
  const Entry& of(const Attributes& attributes) const { return entries_[attributes.index()]; }

 private:
  std::array<Entry, Attributes::kCount> entries_{};
};

}  // namespace resnode
