// The one place where the error types of the layers are converted: runtime's Expected and llvm::Expected.
#pragma once

#include "runtime/support/Error.h"

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

namespace llmc {

// An llvm::Error that keeps the code of an llmc::Error, which is also the exit status of the tools.
class CodedError : public llvm::ErrorInfo<CodedError> {
public:
  static char ID;
  explicit CodedError(Error error) : error(std::move(error)) {}
  const Error &get() const { return error; }
  std::string message() const override { return error.message; }
  void log(llvm::raw_ostream &os) const override { os << error.message; }
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }

private:
  Error error;
};

llvm::Error toLlvm(Error error);
llvm::Error makeError(ErrorCode code, const llvm::Twine &message);

template <class T> llvm::Expected<T> toLlvm(Expected<T> value) {
  if (!value)
    return toLlvm(std::move(value.error()));
  return std::move(*value);
}

// Consumes `error`. One that carries no code of ours counts as our fault.
Error fromLlvm(llvm::Error error);

} // namespace llmc
