// A regular file mapped read-only for the life of the object.
//
//   LLMC_TRY(file, MappedFile::open("model.gguf"));
//   std::span<const std::byte> bytes = file.bytes();
//
// The file must not be truncated while it is mapped: reading a page that is gone raises SIGBUS.
#pragma once

#include "runtime/support/Error.h"

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace llmc {

class MappedFile {
public:
  // Errors: InvalidInput if it can't be opened, is no regular file (a pipe is refused without waiting), or can't be
  // mapped. An empty file gives empty bytes.
  static Expected<MappedFile> open(const std::string &path);

  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept : mapped(std::exchange(other.mapped, {})) {}
  MappedFile &operator=(MappedFile &&other) noexcept {
    std::swap(mapped, other.mapped);
    return *this;
  }
  ~MappedFile();

  // Stays at its address when the object is moved.
  std::span<const std::byte> bytes() const { return mapped; }

private:
  std::span<const std::byte> mapped;
};

} // namespace llmc
