// What an import found wrong: collected while reading, so that one message names everything that is missing.
#pragma once

#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace llmc::frontends {

// Why an import failed, in one line. `exitCode` is the exit status of the tools: 1 a bad input, which the user can
// mend; 3 something that is not supported.
class ImportError : public llvm::ErrorInfo<ImportError> {
public:
  static char ID;
  ImportError(int exitCode, std::string message) : exitCode(exitCode), text(std::move(message)) {}
  int getExitCode() const { return exitCode; }
  std::string message() const override { return text; }
  void log(llvm::raw_ostream &os) const override { os << text; }
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }

private:
  int exitCode;
  std::string text;
};

// Collects findings. Names and values from files are quoted by the caller (runtime/support/Text.h).
class Report {
public:
  // Something in the file that we do not implement, or that a supported model would have.
  void unsupported(const llvm::Twine &what) { add(missing, what); }
  // Something that is wrong in itself: a number out of range, a tensor of the wrong shape.
  void invalid(const llvm::Twine &what) { add(wrong, what); }
  bool hasWrong() const { return !wrong.empty(); }
  bool ok() const { return missing.empty() && wrong.empty(); }
  // Success, or one ImportError about `source` with all findings.
  llvm::Error take(llvm::StringRef source) const;

private:
  static void add(std::vector<std::string> &list, const llvm::Twine &what);
  std::vector<std::string> missing, wrong;
};

} // namespace llmc::frontends
