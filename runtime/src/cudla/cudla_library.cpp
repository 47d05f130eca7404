#include "cudla/cudla_library.h"

#include "unina/error.h"

namespace unina {
namespace {

CudlaLibrary open_library() {
  CudlaLibrary library;
#define UNINA_CALL(name) CudlaLibrary::library().find(#name, library.name);
  UNINA_CUDLA_CALLS(UNINA_CALL)
#undef UNINA_CALL
  return library;
}

struct Meaning {
  cudlaStatus status;
  const char* name;
  const char* advice;  // what it means in practice, "" where the name says it
};

// cuDLA has no function that names its errors.
constexpr Meaning kMeanings[] = {
    {cudlaErrorInvalidParam, "cudlaErrorInvalidParam", ""},
    {cudlaErrorOutOfResources, "cudlaErrorOutOfResources",
     "a core takes 16 loadables and 16 handles at a time; stop other users of it"},
    {cudlaErrorCreationFailed, "cudlaErrorCreationFailed",
     "is the DLA of this module enabled and does this user belong to the group video?"},
    {cudlaErrorInvalidAddress, "cudlaErrorInvalidAddress", ""},
    {cudlaErrorOs, "cudlaErrorOs", "a system call failed; see the kernel's log"},
    {cudlaErrorCuda, "cudlaErrorCuda", "a CUDA call inside cuDLA failed"},
    {cudlaErrorUmd, "cudlaErrorUmd",
     "the DLA's driver refused; a loadable must be built on this release with trtexec "
     "--buildDLAStandalone"},
    {cudlaErrorInvalidDevice, "cudlaErrorInvalidDevice", ""},
    {cudlaErrorInvalidAttribute, "cudlaErrorInvalidAttribute", ""},
    {cudlaErrorIncompatibleDlaSWVersion, "cudlaErrorIncompatibleDlaSWVersion",
     "libcudla and the DLA's driver are of different releases"},
    {cudlaErrorMemoryRegistered, "cudlaErrorMemoryRegistered", ""},
    {cudlaErrorInvalidModule, "cudlaErrorInvalidModule", ""},
    {cudlaErrorUnsupportedOperation, "cudlaErrorUnsupportedOperation", ""},
    {cudlaErrorNvSci, "cudlaErrorNvSci", ""},
    {cudlaErrorDriverNotFound, "cudlaErrorDriverNotFound", "this machine has no DLA driver"},
    {cudlaErrorDlaErrInvalidInput, "cudlaErrorDlaErrInvalidInput", ""},
    {cudlaErrorDlaErrInvalidPreAction, "cudlaErrorDlaErrInvalidPreAction", ""},
    {cudlaErrorDlaErrNoMem, "cudlaErrorDlaErrNoMem", ""},
    {cudlaErrorDlaErrProcessorBusy, "cudlaErrorDlaErrProcessorBusy", ""},
    {cudlaErrorDlaErrTaskStatusMismatch, "cudlaErrorDlaErrTaskStatusMismatch", ""},
    {cudlaErrorDlaErrEngineTimeout, "cudlaErrorDlaErrEngineTimeout", "the DLA itself timed out"},
    {cudlaErrorDlaErrDataMismatch, "cudlaErrorDlaErrDataMismatch", ""},
    {cudlaErrorUnknown, "cudlaErrorUnknown", ""},
};

}  // namespace

const DynamicLibrary& CudlaLibrary::library() {
  static const DynamicLibrary opened({"libcudla.so.1"});
  return opened;
}

const CudlaLibrary& CudlaLibrary::get() {
  static const CudlaLibrary library = open_library();
  return library;
}

std::string CudlaLibrary::describe(const char* call, cudlaStatus status) {
  const std::string number = " (" + std::to_string(static_cast<unsigned>(status)) + ")";
  for (const Meaning& meaning : kMeanings) {
    if (meaning.status != status) continue;
    const std::string advice = meaning.advice;
    return std::string(call) + ": " + meaning.name + number + (advice.empty() ? "" : ": " + advice);
  }
  return std::string(call) + ": unknown cuDLA error" + number;
}

void CudlaLibrary::require(const char* call, cudlaStatus status) {
  if (status != cudlaSuccess) throw Error(describe(call, status));
}

void CudlaLibrary::require(const char* call, cudlaStatus status, const void* given) {
  require(call, status);
  if (given == nullptr) throw Error(std::string(call) + ": cudlaSuccess, but it gave nothing");
}

}  // namespace unina
