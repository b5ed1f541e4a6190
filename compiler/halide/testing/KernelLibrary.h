// Kernels as the compiler emits them and as Halide makes them, compiled in memory: for the test and the benchmark beside this folder.
//
//   KernelLibrary library("#tile.unit_norm<channels = 64, group = 64, eps = 1.0e-5>", "pp", target, "halide");
//   library.call({x, out});
//
// Any failure ends the process with a message.
#pragma once

#include "compiler/codegen/Target.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"

namespace llmc::halide::testing {

// A module that calls one kernel, as LLVM IR for `target`, from the phase `lower` on. `arguments`: 'p' for a pointer, 'i' for i64.
llvm::orc::ThreadSafeModule compileKernel(const std::string &kernel, const std::string &arguments, const codegen::Target &target, const std::string &mode);

class KernelLibrary {
public:
  KernelLibrary(const std::string &kernel, const std::string &arguments, const codegen::Target &target, const std::string &mode);

  // Kernels of pointers only.
  void call(llvm::ArrayRef<const void *> arguments) const;
  // #tile.product.
  void multiply(const void *panel, const void *x, int64_t tokens, float *out, void *scratch) const {
    address.toPtr<void(const void *, const void *, int64_t, float *, void *)>()(panel, x, tokens, out, scratch);
  }

private:
  std::unique_ptr<llvm::orc::LLJIT> jit;
  llvm::orc::ExecutorAddr address;
};

// Those of knownTargets that this machine can run, best first.
std::vector<codegen::Target> targetsOfThisMachine();

} // namespace llmc::halide::testing
