// oneDNN (API of 2.x, https://oneapi-src.github.io/oneDNN/v2.6/), whose library is opened at the first call: most nets
// do not need it, and it is ten times as large as all of our own. Include this, never <dnnl.hpp>.
#pragma once

#include <dnnl.h>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace resnode::cpu {

// A function of the library by name. Throws Error("device/unavailable") if the library is missing.
void* oneDnnFunction(const char* name);

}  // namespace resnode::cpu

// The functions that dnnl.hpp calls, also in unoptimised code. The linker reports any that is missing here
// (CMakeLists.txt: --no-undefined).
#define RESNODE_ONEDNN(name)                                                                            \
  ([]() -> decltype(&::name) {                                                                          \
    static const auto found = reinterpret_cast<decltype(&::name)>(resnode::cpu::oneDnnFunction(#name)); \
    return found;                                                                                       \
  }())
#define dnnl_dilated_convolution_backward_data_desc_init \
  RESNODE_ONEDNN(dnnl_dilated_convolution_backward_data_desc_init)
#define dnnl_dilated_convolution_backward_weights_desc_init \
  RESNODE_ONEDNN(dnnl_dilated_convolution_backward_weights_desc_init)
#define dnnl_dilated_convolution_forward_desc_init RESNODE_ONEDNN(dnnl_dilated_convolution_forward_desc_init)
#define dnnl_dilated_deconvolution_backward_data_desc_init \
  RESNODE_ONEDNN(dnnl_dilated_deconvolution_backward_data_desc_init)
#define dnnl_dilated_deconvolution_backward_weights_desc_init \
  RESNODE_ONEDNN(dnnl_dilated_deconvolution_backward_weights_desc_init)
#define dnnl_dilated_deconvolution_forward_desc_init RESNODE_ONEDNN(dnnl_dilated_deconvolution_forward_desc_init)
#define dnnl_engine_create RESNODE_ONEDNN(dnnl_engine_create)
#define dnnl_engine_destroy RESNODE_ONEDNN(dnnl_engine_destroy)
#define dnnl_get_effective_cpu_isa RESNODE_ONEDNN(dnnl_get_effective_cpu_isa)
#define dnnl_inner_product_backward_data_desc_init RESNODE_ONEDNN(dnnl_inner_product_backward_data_desc_init)
#define dnnl_inner_product_backward_weights_desc_init RESNODE_ONEDNN(dnnl_inner_product_backward_weights_desc_init)
#define dnnl_inner_product_forward_desc_init RESNODE_ONEDNN(dnnl_inner_product_forward_desc_init)
#define dnnl_memory_create RESNODE_ONEDNN(dnnl_memory_create)
#define dnnl_memory_desc_equal RESNODE_ONEDNN(dnnl_memory_desc_equal)
#define dnnl_memory_desc_get_size RESNODE_ONEDNN(dnnl_memory_desc_get_size)
#define dnnl_memory_desc_init_by_strides RESNODE_ONEDNN(dnnl_memory_desc_init_by_strides)
#define dnnl_memory_desc_init_by_tag RESNODE_ONEDNN(dnnl_memory_desc_init_by_tag)
#define dnnl_memory_destroy RESNODE_ONEDNN(dnnl_memory_destroy)
#define dnnl_memory_get_engine RESNODE_ONEDNN(dnnl_memory_get_engine)
#define dnnl_memory_get_memory_desc RESNODE_ONEDNN(dnnl_memory_get_memory_desc)
#define dnnl_memory_set_data_handle_v2 RESNODE_ONEDNN(dnnl_memory_set_data_handle_v2)
#define dnnl_pooling_backward_desc_init RESNODE_ONEDNN(dnnl_pooling_backward_desc_init)
#define dnnl_pooling_forward_desc_init RESNODE_ONEDNN(dnnl_pooling_forward_desc_init)
#define dnnl_post_ops_append_binary RESNODE_ONEDNN(dnnl_post_ops_append_binary)
#define dnnl_post_ops_append_eltwise RESNODE_ONEDNN(dnnl_post_ops_append_eltwise)
#define dnnl_post_ops_append_sum RESNODE_ONEDNN(dnnl_post_ops_append_sum)
#define dnnl_post_ops_append_sum_v2 RESNODE_ONEDNN(dnnl_post_ops_append_sum_v2)
#define dnnl_post_ops_append_sum_v3 RESNODE_ONEDNN(dnnl_post_ops_append_sum_v3)
#define dnnl_post_ops_create RESNODE_ONEDNN(dnnl_post_ops_create)
#define dnnl_post_ops_destroy RESNODE_ONEDNN(dnnl_post_ops_destroy)
#define dnnl_primitive_attr_create RESNODE_ONEDNN(dnnl_primitive_attr_create)
#define dnnl_primitive_attr_destroy RESNODE_ONEDNN(dnnl_primitive_attr_destroy)
#define dnnl_primitive_attr_set_output_scales RESNODE_ONEDNN(dnnl_primitive_attr_set_output_scales)
#define dnnl_primitive_attr_set_post_ops RESNODE_ONEDNN(dnnl_primitive_attr_set_post_ops)
#define dnnl_primitive_attr_set_scratchpad_mode RESNODE_ONEDNN(dnnl_primitive_attr_set_scratchpad_mode)
#define dnnl_primitive_create RESNODE_ONEDNN(dnnl_primitive_create)
#define dnnl_primitive_desc_destroy RESNODE_ONEDNN(dnnl_primitive_desc_destroy)
#define dnnl_primitive_desc_iterator_create RESNODE_ONEDNN(dnnl_primitive_desc_iterator_create)
#define dnnl_primitive_desc_iterator_destroy RESNODE_ONEDNN(dnnl_primitive_desc_iterator_destroy)
#define dnnl_primitive_desc_iterator_fetch RESNODE_ONEDNN(dnnl_primitive_desc_iterator_fetch)
#define dnnl_primitive_desc_query RESNODE_ONEDNN(dnnl_primitive_desc_query)
#define dnnl_primitive_desc_query_md RESNODE_ONEDNN(dnnl_primitive_desc_query_md)
#define dnnl_primitive_destroy RESNODE_ONEDNN(dnnl_primitive_destroy)
#define dnnl_primitive_execute RESNODE_ONEDNN(dnnl_primitive_execute)
#define dnnl_reorder_primitive_desc_create RESNODE_ONEDNN(dnnl_reorder_primitive_desc_create)
#define dnnl_stream_create RESNODE_ONEDNN(dnnl_stream_create)
#define dnnl_stream_destroy RESNODE_ONEDNN(dnnl_stream_destroy)
#define dnnl_stream_get_engine RESNODE_ONEDNN(dnnl_stream_get_engine)
#define dnnl_stream_wait RESNODE_ONEDNN(dnnl_stream_wait)
#define dnnl_version RESNODE_ONEDNN(dnnl_version)

#include <dnnl.hpp>

namespace resnode::cpu {

// oneDNN's engine and stream for one device, created on first use. Thread-safe.
class OneDnn {
 public:
  // `threads`: the number of OpenMP threads, for the thread that uses it first.
  explicit OneDnn(int threads) : threads_(threads) {}
  const dnnl::engine& engine();
  // Work on it is complete when its execute() has returned and wait() was called.
  dnnl::stream& stream();
  // Opens the library, and returns whether that succeeded.
  static bool isInstalled();
  // Empty before the library was opened.
  static std::optional<std::string> openedVersion();

 private:
  struct Opened {
    dnnl::engine engine{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream{engine};
  };
  Opened& opened();
  const int threads_;
  std::mutex mutex_;
  std::unique_ptr<Opened> opened_;  // null: not yet
};

}  // namespace resnode::cpu
