// An immutable value of one of several types. Copies share it.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace resnode {

// Used instead of std::variant, because with a variant every file that copies or destroys one compiles the copy and the
// destructor of each type. For the list of all operation kinds this took longer than the rest of most files.
template <class First, class... Others>
class OneOf {
 public:
  static constexpr size_t kCount = 1 + sizeof...(Others);

  // The index of `Type` in the list of types; kCount if it is not in the list.
  template <class Type>
  static constexpr size_t indexOf() {
    constexpr bool isIt[] = {std::is_same_v<Type, First>, std::is_same_v<Type, Others>...};
    size_t index = 0;
    while (index < kCount && !isIt[index]) ++index;
    return index;
  }

  OneOf() : OneOf(First{}) {}
  template <class Type, class = std::enable_if_t<indexOf<Type>() != kCount>>
  OneOf(Type value)  // NOLINT(google-explicit-constructor): each of the types converts to OneOf
      : index_(indexOf<Type>()), value_(std::make_shared<const Type>(std::move(value))) {}
  // A move copies, so that the source keeps its value.
  OneOf(const OneOf&) = default;
  OneOf& operator=(const OneOf&) = default;
  ~OneOf() = default;

  size_t index() const { return index_; }
  template <class Type>
  bool is() const {
    return index_ == indexOf<Type>();
  }
  // Null if the value has another type.
  template <class Type>
  const Type* as() const {
    static_assert(indexOf<Type>() != kCount, "none of the types");
    return is<Type>() ? static_cast<const Type*>(value_.get()) : nullptr;
  }
  // Throws std::bad_cast if the value has another type.
  template <class Type>
  const Type& get() const {
    const Type* value = as<Type>();
    if (value == nullptr) throw std::bad_cast();
    return *value;
  }

  // Calls visit(const Type&) with the value.
  template <class Visit>
  decltype(auto) visit(Visit&& visit) const {
    using Result = decltype(visit(std::declval<const First&>()));
    using Call = Result (*)(Visit&, const void*);
    static constexpr Call calls[] = {call<First, Result, Visit>, call<Others, Result, Visit>...};
    return calls[index_](visit, value_.get());
  }
  // Calls visit(Type{}) for every type.
  template <class Visit>
  static void forEachType(Visit visit) {
    visit(First{});
    (visit(Others{}), ...);
  }

 private:
  template <class Type, class Result, class Visit>
  static Result call(Visit& visit, const void* value) {
    return visit(*static_cast<const Type*>(value));
  }

  size_t index_;
  std::shared_ptr<const void> value_;
};

}  // namespace resnode
