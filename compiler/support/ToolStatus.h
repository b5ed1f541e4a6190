// The tools' side of the error border: what the runtime, the compiler and the C ABI report becomes an absl::Status, and that an
// exit status. The LLVM side is StatusBridge.h; the two are apart because the tools start without LLVM.
#pragma once

#include "runtime/support/Error.h"

#include "absl/status/statusor.h"

namespace llmc {

absl::Status toStatus(ErrorCode code, const std::string &message);
inline absl::Status toStatus(const Error &error) { return toStatus(error.code, error.message); }

inline absl::Status toStatus(const Expected<void> &value) { return value ? absl::OkStatus() : toStatus(value.error()); }
template <class T> absl::StatusOr<T> toStatus(Expected<T> value) {
  if (!value)
    return toStatus(value.error());
  return std::move(*value);
}

// 0 … 3 as in docs/errors.md, and 130 for what the user interrupted.
int exitStatus(const absl::Status &status);

inline absl::Status invalidArgument(const std::string &message) { return absl::InvalidArgumentError(message); }
inline absl::Status notSupported(const std::string &message) { return absl::UnimplementedError(message); }

// Return an error from the enclosing function, or go on; the second declares `name` as the value.
#define LLMC_RETURN_IF_ERROR(expression)                                                                               \
  if (absl::Status returned = (expression); !returned.ok())                                                             \
  return returned
#define LLMC_ASSIGN(name, expression)                                                                                  \
  auto name##OrStatus = (expression);                                                                                  \
  if (!name##OrStatus.ok())                                                                                            \
    return name##OrStatus.status();                                                                                    \
  auto &name = *name##OrStatus

} // namespace llmc
