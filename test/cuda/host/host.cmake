# host-tests: what chooses, remembers and drives convolutions (cuda/convolution, cuda/cudnn), and the libraries that it opens.
file(GLOB HOST_TEST_SOURCES CONFIGURE_DEPENDS host/*.cc)
file(GLOB CHOOSING_SOURCES CONFIGURE_DEPENDS ${ROOT}/cuda/cudnn/*.cc ${ROOT}/cuda/convolution/*.cc)
list(REMOVE_ITEM CHOOSING_SOURCES ${ROOT}/cuda/convolution/own.cc)
add_executable(host-tests ${HOST_TEST_SOURCES} kernels/convolution-check.cc ${CHOOSING_SOURCES} $<TARGET_OBJECTS:kernels>)
target_link_libraries(host-tests PRIVATE sanitized)

foreach(version 92400 80900)
  add_library(fake-cudnn-${version} MODULE host/libraries/fake-cudnn.cc)
  target_link_libraries(fake-cudnn-${version} PRIVATE emulation)
  target_compile_definitions(fake-cudnn-${version} PRIVATE FAKE_CUDNN_VERSION=${version})
endforeach()

file(WRITE ${CMAKE_BINARY_DIR}/empty.c "")
enable_language(C)
add_library(empty MODULE ${CMAKE_BINARY_DIR}/empty.c)

# A driver with every function of cuda.h, for cuDNN on a machine without one: kernels are loaded, devices are not there.
# cuDNN finds it by its soname once the test has opened it.
file(STRINGS ${RESNODE_CUDA_INCLUDE}/cuda.h DRIVER_FUNCTIONS REGEX "^CUresult CUDAAPI cu[A-Z][A-Za-z0-9_]*\\(")
set(DRIVER "")
foreach(function ${DRIVER_FUNCTIONS})
  string(REGEX REPLACE "^CUresult CUDAAPI (cu[A-Za-z0-9_]*)\\(.*" "\\1" name "${function}")
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

add_dependencies(host-tests fake-cudnn-92400 fake-cudnn-80900 empty fake-driver)
target_compile_definitions(host-tests PRIVATE FAKE_CUDNN="$<TARGET_FILE:fake-cudnn-92400>" FAKE_CUDNN_8="$<TARGET_FILE:fake-cudnn-80900>"
                           EMPTY_LIBRARY="$<TARGET_FILE:empty>" FAKE_DRIVER="$<TARGET_FILE:fake-driver>")
