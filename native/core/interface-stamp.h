// Shows whether the addon and a library that it opens were built from the same headers, because they pass C++ objects
// to each other.
#pragma once

namespace resnode {

// The hash of native/core/*.h in hexadecimal, which CMakeLists.txt computes.
const char* interfaceStamp();

// Every library exports this symbol. It is called before all others.
inline constexpr const char* kInterfaceStampSymbol = "resnode_interface_stamp";
using InterfaceStamp = const char* (*)();

}  // namespace resnode
