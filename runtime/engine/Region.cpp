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

Region::~Region() {
  if (start)
    ::munmap(start, size_t(length));
}

void Region::release(int64_t offset, int64_t count) {
  int64_t page = ::sysconf(_SC_PAGESIZE);
  int64_t first = (offset + page - 1) / page * page, end = (offset + count) / page * page;
  if (first < end)
    ::madvise(start + first, size_t(end - first), MADV_DONTNEED);
}

void Region::preferHugePages() {
  if (start)
    ::madvise(start, size_t(length), MADV_HUGEPAGE);
}

} // namespace llmc
