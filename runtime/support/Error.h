// Errors of the runtime core. No exceptions cross a function of ours: what can fail returns Expected<T>.
//
//   Expected<Gguf> file = Gguf::open(path);
//   if (!file) return std::unexpected(file.error());
//
// A code is also the exit status of the tools (docs/errors.md) and the return value of the C ABI.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace llmc {

enum class ErrorCode : int32_t {
  Ok = 0,
  InvalidInput = 1, // the user can mend it: a bad file, argument or prompt
  Internal = 2,     // our fault
  Unsupported = 3,  // a family, format or operation we do not have; the message lists what is missing
};

struct Error {
  ErrorCode code = ErrorCode::Internal;
  // One line: the file, tensor or argument, what was wanted, what was found, what to do.
  std::string message;
};

template <class T> using Expected = std::expected<T, Error>;

inline std::unexpected<Error> invalidInput(std::string message) {
  return std::unexpected(Error{ErrorCode::InvalidInput, std::move(message)});
}
inline std::unexpected<Error> internalError(std::string message) {
  return std::unexpected(Error{ErrorCode::Internal, std::move(message)});
}
inline std::unexpected<Error> unsupported(std::string message) {
  return std::unexpected(Error{ErrorCode::Unsupported, std::move(message)});
}

// Evaluates an Expected expression; returns its error from the enclosing function, or declares `name` as its value.
#define LLMC_TRY(name, expression)                                                                                     \
  auto name##OrError = (expression);                                                                                   \
  if (!name##OrError)                                                                                                  \
    return std::unexpected(std::move(name##OrError.error()));                                                          \
  auto &name = *name##OrError
// The same for Expected<void>.
#define LLMC_CHECK(expression)                                                                                         \
  if (auto checked = (expression); !checked)                                                                           \
  return std::unexpected(std::move(checked.error()))

} // namespace llmc
