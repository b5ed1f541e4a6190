#include "runtime/engine/Region.h"

#include "runtime/engine/Machine.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace llmc {

Expected<Region> Region::reserve(int64_t bytes, const char *what) {
  Region region;
  if (bytes == 0)
    return region;
  void *address =
      ::mmap(nullptr, size_t(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    return invalidInput(std::string(what) + ": can't reserve " + formatBytes(bytes) + ": " + std::strerror(errno));
  region.start = static_cast<uint8_t *>(address);
  region.length = bytes;
  return region;
}

Region Region::adopt(uint8_t *start, int64_t bytes, std::shared_ptr<void> keeper) {
  Region region;
  region.start = start;
  region.length = bytes;
  region.keeper = std::move(keeper);
  return region;
}

Region::~Region() {
  if (start && !keeper)
    ::munmap(start, size_t(length));
}

void Region::release(int64_t offset, int64_t count) {
  if (!keeper)
    dropPages(start, offset, offset + count);
}

void dropPages(const void *mapping, int64_t begin, int64_t end) {
  uintptr_t page = uintptr_t(::sysconf(_SC_PAGESIZE)), base = reinterpret_cast<uintptr_t>(mapping);
  uintptr_t first = (base + uintptr_t(begin) + page - 1) / page * page, last = (base + uintptr_t(end)) / page * page;
  if (first < last)
    ::madvise(reinterpret_cast<void *>(first), size_t(last - first), MADV_DONTNEED);
}

void Region::preferHugePages(int64_t offset, int64_t count) {
  if (start && !keeper)
    ::madvise(start + offset, size_t(count), MADV_HUGEPAGE);
}

} // namespace llmc
