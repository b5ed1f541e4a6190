// What a library that gpu-emulate writes exports beside its kernels.
#include "test/gpu/emulator/Fibers.h"

#include <cstring>

using namespace llmc::gpu;

extern "C" {

// The function that does what the instruction does, or null.
__attribute__((visibility("hidden"))) void *llmc_gpu_symbol(const char *name) {
  for (const Symbol *symbol = emulatedSymbols(); symbol->name; ++symbol)
    if (!std::strcmp(symbol->name, name))
      return symbol->address;
  return nullptr;
}

// Runs a kernel of up to two arguments of 64 bits. Not from several threads at once.
void llmc_run_grid(void (*kernel)(uint64_t, uint64_t), uint64_t a, uint64_t b, int64_t blocks, int64_t threads, int64_t shared, int64_t backwards) {
  runGrid({.blocks = blocks, .threads = threads, .sharedBytes = shared, .backwards = backwards != 0}, [&] { kernel(a, b); });
}

} // extern "C"
