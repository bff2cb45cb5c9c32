// A backend's functions for each kind of operation. A kind registers itself in the file that defines its functions, so
// a new kind needs no entry in a central list.
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
