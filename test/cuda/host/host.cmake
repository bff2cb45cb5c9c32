# host-tests: the code that chooses, remembers and drives convolutions (cuda/convolution, cuda/cudnn), and opens
# libraries.
file(GLOB HOST_TEST_SOURCES CONFIGURE_DEPENDS host/*.cc)
file(GLOB CUDNN_SOURCES CONFIGURE_DEPENDS ${ROOT}/cuda/cudnn/*.cc ${ROOT}/cuda/library-paths.cc)
set(CHOOSING_SOURCES ${ROOT}/cuda/device.cc ${ROOT}/cuda/memory.cc ${ROOT}/cuda/convolution/diff-norm-trial.cc ${ROOT}/cuda/convolution/measure.cc ${ROOT}/cuda/convolution/tune.cc)
add_library(host-tested OBJECT ${CUDNN_SOURCES} ${ROOT}/cuda/nccl/library.cc ${CHOOSING_SOURCES})
target_link_libraries(host-tested PRIVATE sanitized)
target_compile_options(host-tested PRIVATE -O1)
target_precompile_headers(host-tested REUSE_FROM kernels)
# Without sanitizers, like the cases of kernel-tests.
add_library(host-cases OBJECT ${HOST_TEST_SOURCES})
target_link_libraries(host-cases PRIVATE emulation)
target_compile_options(host-cases PRIVATE -O1)
target_precompile_headers(host-cases PRIVATE host/main.h)
add_executable(host-tests $<TARGET_OBJECTS:kernels> $<TARGET_OBJECTS:many-kernels> $<TARGET_OBJECTS:host-tested> $<TARGET_OBJECTS:host-cases> $<TARGET_OBJECTS:shared-cases> $<TARGET_OBJECTS:emulator> $<TARGET_OBJECTS:runtime>)
target_link_libraries(host-tests PRIVATE sanitized specification)
set_target_properties(host-tests PROPERTIES LINKER_LANGUAGE CXX)

# The cases with bfloat16.
add_executable(plain-host-tests $<TARGET_OBJECTS:host-cases> $<TARGET_OBJECTS:shared-cases> ${PLAIN_KERNELS} $<TARGET_OBJECTS:plain-emulator> $<TARGET_OBJECTS:runtime>)
target_link_libraries(plain-host-tests PRIVATE emulation specification ${PLAIN_HOST})
set_target_properties(plain-host-tests PROPERTIES LINKER_LANGUAGE CXX)

# Without sanitizers: AddressSanitizer's dlopen hides a library's own path from it, but cuDNN uses that to find its
# parts.
add_executable(real-cudnn-tests host/main.cc host/real/cudnn.cc $<TARGET_OBJECTS:shared-cases> ${PLAIN_KERNELS} $<TARGET_OBJECTS:plain-emulator> $<TARGET_OBJECTS:runtime>)
target_link_libraries(real-cudnn-tests PRIVATE emulation host specification)
target_compile_options(real-cudnn-tests PRIVATE -O1)

# One fake cuDNN that reports either of two versions. Tests on it spend most of their time in its loops.
add_library(fake-cudnn OBJECT host/libraries/fake-cudnn.cc)
target_link_libraries(fake-cudnn PRIVATE emulation)
target_compile_options(fake-cudnn PRIVATE -O1)
enable_language(C)
foreach(version 92400 80900)
  file(WRITE ${CMAKE_BINARY_DIR}/fake-cudnn-${version}.c "unsigned long cudnnGetVersion(void) { return ${version}; }\n")
  add_library(fake-cudnn-${version} MODULE ${CMAKE_BINARY_DIR}/fake-cudnn-${version}.c $<TARGET_OBJECTS:fake-cudnn>)
  target_link_libraries(fake-cudnn-${version} PRIVATE emulation)
  set_target_properties(fake-cudnn-${version} PROPERTIES C_VISIBILITY_PRESET default LINKER_LANGUAGE CXX)
endforeach()

file(WRITE ${CMAKE_BINARY_DIR}/empty.c "")
add_library(empty MODULE ${CMAKE_BINARY_DIR}/empty.c)

# Fake NCCLs that only report their version.
foreach(version 22304 21210)
  set(NCCL "int ncclGetVersion(int *version) { *version = ${version}; return 0; }\n")
  foreach(function GetUniqueId CommInitRank CommDestroy CommAbort CommGetAsyncError GetErrorString GetLastError AllReduce GroupStart GroupEnd)
    string(APPEND NCCL "int nccl${function}(void) { return 0; }\n")
  endforeach()
  file(WRITE ${CMAKE_BINARY_DIR}/nccl-stub-${version}.c "${NCCL}")
  add_library(nccl-stub-${version} MODULE ${CMAKE_BINARY_DIR}/nccl-stub-${version}.c)
  set_target_properties(nccl-stub-${version} PROPERTIES C_VISIBILITY_PRESET default)
endforeach()

# A fake driver with every function of cuda.h, for cuDNN on a machine without one: kernels can be loaded, but there are
# no devices. cuDNN finds it by its soname after the test has opened it.
file(READ ${RESNODE_CUDA_INCLUDE}/cuda.h DRIVER_HEADER)
string(REGEX MATCHALL "cu[A-Z][A-Za-z0-9_]*\\(" DRIVER_FUNCTIONS "${DRIVER_HEADER}")
list(REMOVE_DUPLICATES DRIVER_FUNCTIONS)
set(DRIVER "")
foreach(function ${DRIVER_FUNCTIONS})
  string(REPLACE "(" "" name "${function}")
  if(name MATCHES "^cu(LibraryLoadData|LibraryGetKernel|LibraryGetModule|KernelGetFunction|ModuleLoadData|ModuleGetFunction)")
    string(APPEND DRIVER "int ${name}(void **object) { *object = object; return 0; }\n")
  elseif(name MATCHES "^cu(Kernel|Func)(Get|Set)Attribute$|^cu(Library|Module)Unload$")
    string(APPEND DRIVER "int ${name}(void) { return 0; }\n")
  else()
    string(APPEND DRIVER "int ${name}(void) { return 100; } /* CUDA_ERROR_NO_DEVICE */\n")
  endif()
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/fake-driver.c "${DRIVER}")
add_library(fake-driver SHARED ${CMAKE_BINARY_DIR}/fake-driver.c)
set_target_properties(fake-driver PROPERTIES C_VISIBILITY_PRESET default NO_SONAME ON LINK_FLAGS "-Wl,-soname,libcuda.so.1")

add_dependencies(host-tests fake-cudnn-92400 fake-cudnn-80900 empty nccl-stub-22304 nccl-stub-21210)
target_compile_definitions(host-cases PRIVATE FAKE_CUDNN="$<TARGET_FILE:fake-cudnn-92400>" FAKE_CUDNN_8="$<TARGET_FILE:fake-cudnn-80900>"
                           EMPTY_LIBRARY="$<TARGET_FILE:empty>" NCCL_STUB="$<TARGET_FILE:nccl-stub-22304>"
                           NCCL_STUB_OLD="$<TARGET_FILE:nccl-stub-21210>")
add_dependencies(real-cudnn-tests fake-driver)
target_compile_definitions(real-cudnn-tests PRIVATE FAKE_DRIVER="$<TARGET_FILE:fake-driver>")
