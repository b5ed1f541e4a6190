#include "compiler/support/StatusBridge.h"

using namespace llmc;

char CodedError::ID = 0;

llvm::Error llmc::toLlvm(Error error) { return llvm::make_error<CodedError>(std::move(error)); }

llvm::Error llmc::makeError(ErrorCode code, const llvm::Twine &message) { return toLlvm(Error{code, message.str()}); }

Error llmc::fromLlvm(llvm::Error error) {
  Error result;
  llvm::handleAllErrors(
      std::move(error), [&](const CodedError &coded) { result = coded.get(); },
      [&](const llvm::ErrorInfoBase &other) { result = Error{ErrorCode::Internal, other.message()}; });
  return result;
}
