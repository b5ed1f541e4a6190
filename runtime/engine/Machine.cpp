#include "runtime/engine/Machine.h"

#include "runtime/support/Files.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <limits>
#include <optional>
#include <sched.h>
#include <string_view>
#include <thread>

namespace llmc {
namespace {

constexpr size_t maxPseudoFileBytes = 1 << 20;

std::string readPseudoFile(const std::string &path) {
  auto text = readTextFile(path, maxPseudoFileBytes);
  return text ? *text : std::string();
}

std::optional<int64_t> firstInteger(std::string_view text) {
  size_t start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos)
    return std::nullopt;
  int64_t value;
  auto [end, failed] = std::from_chars(text.data() + start, text.data() + text.size(), value);
  return failed == std::errc() ? std::optional(value) : std::nullopt;
}

// The number after `key` in lines of "key value".
std::optional<int64_t> field(std::string_view text, std::string_view key) {
  size_t at = text.rfind(key, 0) == 0 ? 0 : text.find("\n" + std::string(key));
  if (at == std::string_view::npos)
    return std::nullopt;
  return firstInteger(text.substr(at + key.size() + (at ? 1 : 0)));
}

// The folder of this process's cgroup for `controller`; version 2 has one line "0::/path" for all.
std::string cgroupFolder(std::string_view controller) {
  std::string lines = readPseudoFile("/proc/self/cgroup");
  for (size_t at = 0; at < lines.size();) {
    size_t end = std::min(lines.find('\n', at), lines.size());
    std::string_view line = std::string_view(lines).substr(at, end - at);
    at = end + 1;
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string_view::npos)
      continue;
    std::string_view names = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    std::string root = names.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + std::string(controller);
    if (names.empty() || names.find(controller) != std::string_view::npos)
      return root + std::string(path);
  }
  return "/sys/fs/cgroup";
}

// Calls `visit` with the folder and those above it, whose limits hold as well; a container may see only the top one.
template <class Visit> void forEachAncestor(std::string folder, Visit visit) {
  while (folder.size() >= std::string_view("/sys/fs/cgroup").size()) {
    visit(folder);
    folder.resize(folder.rfind('/'));
  }
}

// CPUs that the quota of one cgroup is worth.
std::optional<int> quotaCpus(const std::string &folder) {
  std::string v2 = readPseudoFile(folder + "/cpu.max"); // "200000 100000" or "max 100000"
  auto quota = firstInteger(v2);
  auto period = quota ? firstInteger(std::string_view(v2).substr(std::min(v2.size(), v2.find(' ')))) : std::nullopt;
  if (!quota) {
    quota = firstInteger(readPseudoFile(folder + "/cpu.cfs_quota_us"));
    period = firstInteger(readPseudoFile(folder + "/cpu.cfs_period_us"));
  }
  if (!quota || !period || *quota <= 0 || *period <= 0)
    return std::nullopt;
  return int(std::clamp<int64_t>((*quota + *period - 1) / *period, 1, 1 << 16));
}

std::optional<int64_t> cgroupMemoryLeft(const std::string &folder) {
  auto limit = firstInteger(readPseudoFile(folder + "/memory.max"));
  auto used = firstInteger(readPseudoFile(folder + "/memory.current"));
  if (!limit) {
    limit = firstInteger(readPseudoFile(folder + "/memory.limit_in_bytes"));
    used = firstInteger(readPseudoFile(folder + "/memory.usage_in_bytes"));
  }
  if (!limit || !used)
    return std::nullopt;
  // Cached file pages count as used, but go first.
  int64_t reclaimable = field(readPseudoFile(folder + "/memory.stat"), "inactive_file").value_or(0);
  return std::max<int64_t>(0, *limit - *used + reclaimable);
}

int affinityCpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    return std::max(1, CPU_COUNT(&set));
  return std::max(1, int(std::thread::hardware_concurrency()));
}

} // namespace

int availableCpus() {
  int cpus = affinityCpus();
  forEachAncestor(cgroupFolder("cpu"), [&](const std::string &folder) {
    if (auto quota = quotaCpus(folder))
      cpus = std::min(cpus, *quota);
  });
  return cpus;
}

int64_t availableMemoryBytes() {
  auto kibibytes = field(readPseudoFile("/proc/meminfo"), "MemAvailable:");
  int64_t bytes = kibibytes ? *kibibytes * 1024 : std::numeric_limits<int64_t>::max();
  forEachAncestor(cgroupFolder("memory"), [&](const std::string &folder) {
    if (auto left = cgroupMemoryLeft(folder))
      bytes = std::min(bytes, *left);
  });
  return bytes;
}

bool hasHugePages() {
  std::string modes = readPseudoFile("/sys/kernel/mm/transparent_hugepage/enabled"); // "always [madvise] never"
  return modes.find("[always]") != std::string::npos || modes.find("[madvise]") != std::string::npos;
}

int64_t hugePagesOf(const void *address) {
  std::ifstream maps("/proc/self/smaps");
  bool isIt = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
      isIt = begin <= reinterpret_cast<uintptr_t>(address) && reinterpret_cast<uintptr_t>(address) < end;
    else if (auto kibibytes = isIt ? field(line, "AnonHugePages:") : std::nullopt)
      return *kibibytes * 1024;
  }
  return 0;
}

} // namespace llmc
