// Runs code for a GPU on one thread of a CPU: each thread of each block is a fiber, which runs until it waits for others. What the
// instructions of a warp or a block do is written here, by their definition in the PTX manual.
//
//   Grid grid{.blocks = 4, .threads = 256, .sharedBytes = 8192};
//   runGrid(grid, [&] { kernel(x, out); });
//
// Code that reads what another thread has yet to write does so here too: shared memory holds NaN until it is written, and again after each
// barrier of the grid; asynchronous copies are made only when they are waited for; and `backwards` turns the order of the threads. A correct
// kernel gives the same bits in both orders. Ends the process, with a message, where threads wait for ever or write beyond shared memory.
#pragma once

#include <cstdint>
#include <functional>

namespace llmc::gpu {

struct Grid {
  int64_t blocks = 1, threads = 32; // of a block: a multiple of 32
  int64_t sharedBytes = 0;
  bool backwards = false;
};
inline constexpr int64_t kMostShared = 99 << 10;

// `body` runs once for each thread. One grid at a time in a process.
void runGrid(const Grid &grid, const std::function<void()> &body);

// The functions that HostCode.h lets code call: name and address, and the memory named llmc_shared.
struct Symbol {
  const char *name;
  void *address;
};
const Symbol *emulatedSymbols(); // the last has no name

} // namespace llmc::gpu
