// Anonymous memory straight from the system: page-aligned, zero, and committed only where it is touched. Or memory that somebody else keeps
// (a GPU's driver), which is there from the start.
#pragma once

#include "runtime/support/Error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace llmc {

class Region {
public:
  // `what` and its size appear in the error (InvalidInput) when the system gives no address space. 0 bytes: no memory.
  static Expected<Region> reserve(int64_t bytes, const char *what);
  // `keeper` lives as long as the region.
  static Region adopt(uint8_t *start, int64_t bytes, std::shared_ptr<void> keeper);

  Region() = default;
  Region(Region &&other) noexcept
      : start(std::exchange(other.start, nullptr)), length(std::exchange(other.length, 0)), keeper(std::move(other.keeper)) {}
  Region &operator=(Region &&other) noexcept {
    std::swap(start, other.start);
    std::swap(length, other.length);
    std::swap(keeper, other.keeper);
    return *this;
  }
  ~Region();

  uint8_t *data() const { return start; }
  int64_t bytes() const { return length; }
  template <class T> T *as() const { return reinterpret_cast<T *>(start); }
  // Gives the pages that lie whole in [offset, offset + count) back to the system; they read as zero afterwards. Kept memory stays as it is.
  void release(int64_t offset, int64_t count);
  // Asks for huge pages: for memory that is used from end to end.
  void preferHugePages() { preferHugePages(0, length); }
  // The same for [offset, offset + count), which begins and ends on pages.
  void preferHugePages(int64_t offset, int64_t count);

private:
  uint8_t *start = nullptr;
  int64_t length = 0;
  std::shared_ptr<void> keeper; // null: the system's
};

// Takes the pages that lie whole in [begin, end) of a mapping out of this process.
void dropPages(const void *mapping, int64_t begin, int64_t end);

} // namespace llmc
