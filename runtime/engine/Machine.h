// How much of the machine this process may use: CPUs and memory, after affinity and cgroup limits.
#pragma once

#include "runtime/support/Text.h" // formatBytes

#include <cstdint>
#include <string>

namespace llmc {

// At least 1: the CPUs of the affinity mask, at most the cgroup's quota rounded up.
int availableCpus();

// Memory that can be taken without swapping: what the system calls available, at most what the cgroup leaves.
int64_t availableMemoryBytes();

// Whether the system backs anonymous memory with huge pages where it is asked to (transparent huge pages).
bool hasHugePages();
// Bytes in huge pages of the mapping that holds `address`.
int64_t hugePagesOf(const void *address);

} // namespace llmc
