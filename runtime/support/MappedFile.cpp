#include "runtime/support/MappedFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace llmc {
namespace {

std::unexpected<Error> systemError(const std::string &path, const char *action) {
  return invalidInput(path + ": can't " + action + ": " + std::strerror(errno));
}

Expected<std::span<const std::byte>> mapDescriptor(int fd, const std::string &path) {
  struct stat status{};
  if (::fstat(fd, &status) != 0)
    return systemError(path, "read its size");
  if (!S_ISREG(status.st_mode))
    return invalidInput(path + ": want a regular file, got a " + (S_ISDIR(status.st_mode) ? "directory" : "device"));
  if (status.st_size == 0)
    return std::span<const std::byte>();
  size_t size = size_t(status.st_size);
  void *address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (address == MAP_FAILED)
    return systemError(path, "map it");
  return std::span(static_cast<const std::byte *>(address), size);
}

} // namespace

Expected<MappedFile> MappedFile::open(const std::string &path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return systemError(path, "open");
  auto bytes = mapDescriptor(fd, path);
  ::close(fd); // the mapping keeps the file
  if (!bytes)
    return std::unexpected(std::move(bytes.error()));
  MappedFile file;
  file.mapped = *bytes;
  return file;
}

MappedFile::~MappedFile() {
  if (!mapped.empty())
    ::munmap(const_cast<std::byte *>(mapped.data()), mapped.size());
}

} // namespace llmc
