// A stand-in of libcudart: streams that really run behind, mapped memory whose device address is
// another one than the host's. For tests only.
#include "cuda/cudart_abi.h"

#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "state.h"
#include "worker.h"

// NVIDIA's name for what a cudaStream_t points to.
struct CUstream_st {
  standin::Worker worker;
  std::mutex mutex;  // for the capture
  bool capturing = false;
  std::vector<std::function<void()>> captured;
};

struct CUgraph_st {
  std::vector<std::function<void()>> work;
};

struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};

namespace standin {
namespace {

struct Buffer {
  std::byte* host = nullptr;
  std::size_t bytes = 0, mapped = 0;
};

struct Cudart {
  std::mutex mutex;
  std::set<CUstream_st*> streams;
  std::set<CUgraph_st*> graphs;
  std::set<CUgraphExec_st*> executables;
  std::map<std::byte*, Buffer> buffers;  // by device address
};

Cudart& cudart() {
  static auto* const made = new Cudart;
  return *made;
}

bool is_stream(CUstream_st* stream) {
  const std::lock_guard<std::mutex> lock(cudart().mutex);
  return cudart().streams.count(stream) != 0;
}

std::size_t whole_pages(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (bytes + page - 1) / page * page;
}

// One memory at two addresses; false when there is none.
bool map_twice(std::size_t bytes, std::byte** first, std::byte** second) {
  const int file = ::memfd_create("unina-standin", MFD_CLOEXEC);
  if (file < 0) return false;
  const bool sized = ::ftruncate(file, static_cast<off_t>(bytes)) == 0;
  void* views[2] = {MAP_FAILED, MAP_FAILED};
  for (void*& view : views) {
    if (sized) view = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  ::close(file);
  *first = static_cast<std::byte*>(views[0]);
  *second = static_cast<std::byte*>(views[1]);
  return views[0] != MAP_FAILED && views[1] != MAP_FAILED;
}

}  // namespace

void* host_address(const void* device, std::size_t bytes) {
  const std::lock_guard<std::mutex> lock(cudart().mutex);
  for (const auto& [start, buffer] : cudart().buffers) {
    const auto* at = static_cast<const std::byte*>(device);
    if (at < start || at >= start + buffer.bytes) continue;
    const auto offset = static_cast<std::size_t>(at - start);
    return offset + bytes <= buffer.bytes ? buffer.host + offset : nullptr;
  }
  return nullptr;
}

bool enqueue(void* stream, std::function<void()> work) {
  auto* s = static_cast<CUstream_st*>(stream);
  if (!is_stream(s)) return false;
  const std::lock_guard<std::mutex> lock(s->mutex);
  if (s->capturing) {
    s->captured.push_back(std::move(work));
  } else {
    s->worker.push(std::move(work));
  }
  return true;
}

}  // namespace standin

using standin::cudart;
using standin::run;

extern "C" {

cudaError_t cudaSetDevice(int device) {
  return run<cudaError_t>("cudaSetDevice", cudaErrorInsufficientDriver,
                          [&] { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  return run<cudaError_t>(
      "cudaStreamCreateWithFlags", cudaErrorMemoryAllocation,
      [&] {
        if (stream == nullptr || flags > 1) return cudaErrorInvalidValue;
        auto* made = new CUstream_st;
        const std::lock_guard<std::mutex> lock(cudart().mutex);
        cudart().streams.insert(made);
        standin::live("stream", +1);
        *stream = made;
        return cudaSuccess;
      },
      [&](std::int64_t) { *stream = nullptr; });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return run<cudaError_t>(
      "cudaStreamQuery", cudaErrorLaunchFailure,
      [&] {
        if (!standin::is_stream(stream)) return cudaErrorInvalidResourceHandle;
        const std::lock_guard<std::mutex> lock(stream->mutex);
        if (stream->capturing) return cudaErrorStreamCaptureUnsupported;
        return stream->worker.idle() ? cudaSuccess : cudaErrorNotReady;
      },
      [](std::int64_t) {});
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return run<cudaError_t>("cudaStreamSynchronize", cudaErrorLaunchFailure, [&] {
    if (!standin::is_stream(stream)) return cudaErrorInvalidResourceHandle;
    stream->worker.wait_until_idle();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return run<cudaError_t>("cudaStreamDestroy", cudaErrorUnknown, [&] {
    {
      const std::lock_guard<std::mutex> lock(cudart().mutex);
      if (cudart().streams.erase(stream) == 0) {
        standin::violation("cudaStreamDestroy of what is no stream");
        return cudaErrorInvalidResourceHandle;
      }
    }
    {
      const std::lock_guard<std::mutex> lock(stream->mutex);
      if (!stream->worker.idle()) {
        standin::violation("cudaStreamDestroy with work on the stream");
      }
      if (stream->capturing) standin::violation("cudaStreamDestroy during a capture");
    }
    delete stream;
    standin::live("stream", -1);
    return cudaSuccess;
  });
}

cudaError_t cudaHostAlloc(void** host, std::size_t bytes, unsigned int flags) {
  return run<cudaError_t>(
      "cudaHostAlloc", cudaErrorMemoryAllocation,
      [&] {
        if (host == nullptr || bytes == 0 || flags != cudaHostAllocMapped)
          return cudaErrorInvalidValue;
        std::byte *at = nullptr, *device = nullptr;
        const std::size_t mapped = standin::whole_pages(bytes);
        if (!standin::map_twice(mapped, &at, &device)) return cudaErrorMemoryAllocation;
        for (std::size_t i = 0; i < mapped; ++i) at[i] = std::byte{0xa5};  // nobody promised zeros
        const std::lock_guard<std::mutex> lock(cudart().mutex);
        cudart().buffers[device] = {at, bytes, mapped};
        standin::live("buffer", +1);
        *host = at;
        return cudaSuccess;
      },
      [&](std::int64_t) { *host = nullptr; });
}

cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned int flags) {
  return run<cudaError_t>(
      "cudaHostGetDevicePointer", cudaErrorInvalidValue,
      [&] {
        if (device == nullptr || flags != 0) return cudaErrorInvalidValue;
        const std::lock_guard<std::mutex> lock(cudart().mutex);
        for (const auto& [start, buffer] : cudart().buffers) {
          if (buffer.host != host) continue;
          *device = start;
          return cudaSuccess;
        }
        return cudaErrorInvalidValue;
      },
      [&](std::int64_t value) { *device = reinterpret_cast<void*>(value); });
}

cudaError_t cudaFreeHost(void* host) {
  return run<cudaError_t>("cudaFreeHost", cudaErrorUnknown, [&] {
    const std::lock_guard<std::mutex> lock(cudart().mutex);
    for (const auto& [start, buffer] : cudart().buffers) {
      if (buffer.host != host) continue;
      ::munmap(buffer.host, buffer.mapped);
      ::munmap(start, buffer.mapped);
      cudart().buffers.erase(start);
      standin::live("buffer", -1);
      return cudaSuccess;
    }
    standin::violation("cudaFreeHost of what is no buffer");
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode) {
  return run<cudaError_t>("cudaStreamBeginCapture", cudaErrorStreamCaptureUnsupported, [&] {
    if (mode != cudaStreamCaptureModeThreadLocal) return cudaErrorInvalidValue;
    if (!standin::is_stream(stream)) return cudaErrorInvalidResourceHandle;
    const std::lock_guard<std::mutex> lock(stream->mutex);
    if (!stream->worker.idle()) {
      standin::violation("cudaStreamBeginCapture with work on the stream");
    }
    stream->capturing = true;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  // However it ends, the stream is in capture no longer.
  const auto end = [&] {
    std::vector<std::function<void()>> work;
    if (!standin::is_stream(stream)) return work;
    const std::lock_guard<std::mutex> lock(stream->mutex);
    if (!stream->capturing) standin::violation("cudaStreamEndCapture without a capture");
    stream->capturing = false;
    work.swap(stream->captured);
    return work;
  };
  const std::vector<std::function<void()>> work = end();
  return run<cudaError_t>(
      "cudaStreamEndCapture", cudaErrorStreamCaptureInvalidated,
      [&] {
        auto* made = new CUgraph_st{work};
        const std::lock_guard<std::mutex> lock(cudart().mutex);
        cudart().graphs.insert(made);
        standin::live("graph", +1);
        *graph = made;
        return cudaSuccess;
      },
      [&](std::int64_t) { *graph = nullptr; });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long flags) {
  return run<cudaError_t>(
      "cudaGraphInstantiate", cudaErrorMemoryAllocation,
      [&] {
        const std::lock_guard<std::mutex> lock(cudart().mutex);
        if (cudart().graphs.count(graph) == 0 || flags != 0) return cudaErrorInvalidValue;
        auto* made = new CUgraphExec_st{graph->work};
        cudart().executables.insert(made);
        standin::live("executable", +1);
        *executable = made;
        return cudaSuccess;
      },
      [&](std::int64_t) { *executable = nullptr; });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return run<cudaError_t>("cudaGraphLaunch", cudaErrorLaunchFailure, [&] {
    std::vector<std::function<void()>> work;
    {
      const std::lock_guard<std::mutex> lock(cudart().mutex);
      if (cudart().executables.count(executable) == 0) return cudaErrorInvalidValue;
      work = executable->work;
    }
    for (const std::function<void()>& piece : work) {
      if (!standin::enqueue(stream, piece)) return cudaErrorInvalidResourceHandle;
    }
    return cudaSuccess;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return run<cudaError_t>("cudaGraphExecDestroy", cudaErrorUnknown, [&] {
    const std::lock_guard<std::mutex> lock(cudart().mutex);
    if (cudart().executables.erase(executable) == 0) return cudaErrorInvalidValue;
    delete executable;
    standin::live("executable", -1);
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return run<cudaError_t>("cudaGraphDestroy", cudaErrorUnknown, [&] {
    const std::lock_guard<std::mutex> lock(cudart().mutex);
    if (cudart().graphs.erase(graph) == 0) return cudaErrorInvalidValue;
    delete graph;
    standin::live("graph", -1);
    return cudaSuccess;
  });
}

const char* cudaGetErrorName(cudaError_t error) {
  if (const auto fault = standin::called("cudaGetErrorName")) return nullptr;
  switch (static_cast<int>(error)) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorUnknown:
      return "cudaErrorUnknown";
  }
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t) {
  if (const auto fault = standin::called("cudaGetErrorString")) return nullptr;
  return "an error that a stand-in made up";
}

}  // extern "C"
