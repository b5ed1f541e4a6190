// Compiles kernels in memory, for their tests and benchmarks: emit, lower, optimise at O3, run.
//
//   KernelJit jit(target);
//   jit.declare("q", "#tile.quantize<inputs = 64>", "pp");
//   jit.compile();
//   jit.function<void(const float *, std::byte *)>("q")(x, row);
//
// Any failure ends the process with a message.
#pragma once

#include "passes/lowering/kernels/Kernels.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"

#include <map>

namespace llmc::kernels::testing {

struct JitTarget {
  std::string name;
  std::string attribute; // of #tile.target<…>
  std::string cpu;       // LLVM's "target-cpu"; empty: this machine's features
  bool fused;            // does a float multiply-add round once?
  bool emulateVnni;      // replace 512-bit vpdpbusd and vpshufb by their definitions
};

class KernelJit {
public:
  explicit KernelJit(JitTarget target);

  // `kernel`: the attribute's text. `arguments`: 'p' for a pointer, 'i' for i64.
  void declare(std::string name, std::string kernel, std::string arguments);
  void compile();
  template <class Signature> Signature *function(std::string_view name) { return address(name).toPtr<Signature *>(); }
  // Of a kernel for a device: the shared memory that a block needs for it. Run it as test/gpu/emulator/Fibers.h says.
  int64_t sharedBytes(const std::string &name) const { return shared.at(name); }
  // The code that `target` gets, as text; PTX for "sm_80" and later. Instead of compile().
  std::string assembly(const std::string &cpu);

private:
  std::unique_ptr<llvm::Module> lower(llvm::LLVMContext &context);
  llvm::orc::ExecutorAddr address(std::string_view name);

  JitTarget target;
  std::string text; // the module before emission
  std::map<std::string, int64_t> shared;
  bool isDevice = false;
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

} // namespace llmc::kernels::testing
