// Tells whether the addon and a library that it opens were built from one interface: they pass each other C++ objects.
#pragma once

namespace resnode {

// The hash of native/core/*.h, in hexadecimal, as CMakeLists.txt has found it.
const char* interfaceStamp();

// Each library has this symbol, which is called before all others.
inline constexpr const char* kInterfaceStampSymbol = "resnode_interface_stamp";
using InterfaceStamp = const char* (*)();

}  // namespace resnode
