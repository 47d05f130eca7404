#include "cudla/registration.h"

namespace unina {

bool Registration::end() noexcept {
  cudlaStatus status = cudla_.cudlaMemUnregister(device_.get(), registered_);
  if (status == cudlaSuccess) return true;
  failures_.add(cudla_.describe("cudlaMemUnregister", status));
  // It may have done its work and told of a task's older error: asked again, it says that the
  // address is unknown. Any other answer means that the DLA can still reach it.
  status = cudla_.cudlaMemUnregister(device_.get(), registered_);
  return status == cudlaSuccess || status == cudlaErrorInvalidAddress;
}

}  // namespace unina
