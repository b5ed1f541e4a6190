#include "runtime/support/Files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace llmc {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0)
      ::close(fd);
  }
};

} // namespace

Expected<std::string> readTextFile(const std::string &path, size_t maxBytes) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status{};
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0)
    return invalidInput(path + ": can't open: " + std::strerror(errno));
  if (S_ISDIR(status.st_mode))
    return invalidInput(path + ": want a file, got a directory");
  std::string text;
  if (S_ISREG(status.st_mode))
    text.reserve(std::min(size_t(status.st_size), maxBytes));
  char buffer[1 << 16];
  while (true) {
    ssize_t count = ::read(file.fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return invalidInput(path + ": can't read: " + std::strerror(errno));
    if (count == 0)
      return text;
    if (size_t(count) > maxBytes - text.size())
      return invalidInput(path + ": want at most " + std::to_string(maxBytes) + " bytes, the file has more");
    text.append(buffer, size_t(count));
  }
}

} // namespace llmc
