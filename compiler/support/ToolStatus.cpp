#include "compiler/support/ToolStatus.h"

using namespace llmc;

absl::Status llmc::toStatus(ErrorCode code, const std::string &message) {
  switch (code) {
  case ErrorCode::Ok:
    return absl::OkStatus();
  case ErrorCode::InvalidInput:
    return absl::InvalidArgumentError(message);
  case ErrorCode::Unsupported:
    return absl::UnimplementedError(message);
  case ErrorCode::Internal:
    break;
  }
  // LLMC_CANCELLED is a code of the C ABI only.
  return static_cast<int32_t>(code) == 4 ? absl::CancelledError(message) : absl::InternalError(message);
}

int llmc::exitStatus(const absl::Status &status) {
  switch (status.code()) {
  case absl::StatusCode::kOk:
    return 0;
  case absl::StatusCode::kInvalidArgument:
    return 1;
  case absl::StatusCode::kUnimplemented:
    return 3;
  case absl::StatusCode::kCancelled:
    return 130; // as a shell reports SIGINT
  default:
    return 2;
  }
}
