# Whose declarations of CUDA and cuDLA the code is compiled against. Both libraries are opened at run time, so that one
# binary runs with and without them, and nothing here is linked.
set(UNINA_SDK "minimal" CACHE STRING "minimal: our own declarations of what is used; real: NVIDIA's headers (UNINA_CUDA_INCLUDE, UNINA_CUDLA_INCLUDE)")
set_property(CACHE UNINA_SDK PROPERTY STRINGS minimal real)

add_library(unina_cuda_headers INTERFACE)
if(UNINA_SDK STREQUAL "real")
  find_path(UNINA_CUDA_INCLUDE cuda_runtime_api.h HINTS /usr/local/cuda/include REQUIRED)
  find_path(UNINA_CUDLA_INCLUDE cudla.h HINTS /usr/local/cuda/include REQUIRED)
  target_include_directories(unina_cuda_headers SYSTEM INTERFACE ${UNINA_CUDA_INCLUDE} ${UNINA_CUDLA_INCLUDE})
  target_compile_definitions(unina_cuda_headers INTERFACE UNINA_SDK_REAL)
elseif(NOT UNINA_SDK STREQUAL "minimal")
  message(FATAL_ERROR "UNINA_SDK=${UNINA_SDK}: expected minimal or real")
endif()

# NvSci's headers are in no package of JetPack 6; who has them from NVIDIA can name their folder.
set(UNINA_NVSCI_INCLUDE "" CACHE PATH "Folder of nvscibuf.h and nvscisync.h: adds the accelerator cudla-standalone; needs UNINA_SDK=real")
add_library(unina_nvsci_headers INTERFACE)
if(UNINA_NVSCI_INCLUDE)
  if(NOT UNINA_SDK STREQUAL "real")
    message(FATAL_ERROR "UNINA_NVSCI_INCLUDE needs UNINA_SDK=real: what runs on a device is compiled against NVIDIA's headers")
  endif()
  target_include_directories(unina_nvsci_headers SYSTEM INTERFACE ${UNINA_NVSCI_INCLUDE})
  target_compile_definitions(unina_nvsci_headers INTERFACE UNINA_NVSCI_REAL)
endif()

# TensorRT's headers are Apache-2.0 and in no package registry; a Jetson has them.
set(UNINA_TRT_INCLUDE "" CACHE PATH "Folder of NvInfer.h (TensorRT 10): adds the accelerator tensorrt; needs UNINA_SDK=real")
if(UNINA_TRT_INCLUDE AND NOT UNINA_SDK STREQUAL "real")
  message(FATAL_ERROR "UNINA_TRT_INCLUDE needs UNINA_SDK=real: NvInfer.h includes NVIDIA's CUDA headers")
endif()

# NvBufSurface's header comes with JetPack. Ours has the same layout for what is used (tests/runtime/contract_nvbufsurface.cpp).
set(UNINA_NVBUF_INCLUDE "" CACHE PATH "Folder of nvbufsurface.h: NVMM pictures by NVIDIA's declarations instead of ours")
add_library(unina_nvbuf_headers INTERFACE)
if(UNINA_NVBUF_INCLUDE)
  target_include_directories(unina_nvbuf_headers SYSTEM INTERFACE ${UNINA_NVBUF_INCLUDE})
  target_compile_definitions(unina_nvbuf_headers INTERFACE UNINA_NVBUF_REAL)
endif()
