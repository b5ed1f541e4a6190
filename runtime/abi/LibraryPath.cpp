#include "runtime/abi/LibraryPath.h"

#include <cinttypes>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>

namespace llmc {
namespace {

// The kernel remembers the whole path of a mapping, also when it was opened by a relative one and the folder changed
// since.
std::string mappedPathOf(const void *address) {
  std::string path;
  std::FILE *maps = std::fopen("/proc/self/maps", "re");
  if (!maps)
    return path;
  char line[PATH_MAX + 128];
  auto wanted = reinterpret_cast<uintptr_t>(address);
  while (path.empty() && std::fgets(line, sizeof line, maps)) {
    uintptr_t start, end;
    const char *name = std::strchr(line, '/');
    if (name && std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &start, &end) == 2 && start <= wanted && wanted < end)
      path.assign(name, std::strcspn(name, "\n"));
  }
  std::fclose(maps);
  return path;
}

} // namespace

std::string libraryPathOf(const void *address) {
  std::string mapped = mappedPathOf(address);
  Dl_info info{};
  if (!mapped.empty() || !::dladdr(address, &info) || !info.dli_fname)
    return mapped;
  char *resolved = ::realpath(info.dli_fname, nullptr);
  std::string path = resolved ? resolved : info.dli_fname;
  std::free(resolved);
  return path;
}

} // namespace llmc
