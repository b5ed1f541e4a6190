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
#include "test/gpu/emulator/Fibers.h"

#include "llvm/ExecutionEngine/Orc/LLJIT.h"

#include <map>
#include <optional>

namespace llmc::kernels::testing {

struct JitTarget {
  std::string name;
  std::string attribute; // of #tile.target<…>
  std::string cpu;       // LLVM's "target-cpu"; empty: this machine's features
  bool fused;            // does a float multiply-add round once?
  bool emulateVnni;      // replace 512-bit vpdpbusd and vpshufb by their definitions
  bool backwards = false; // of a device: the order of the emulator's threads

  bool isDevice() const { return attribute.find(" in blocks of ") != std::string::npos; }
};

template <class Signature> class Kernel;
// A kernel as a function: on a device, one block of threads runs it, emulated.
template <class... Arguments> class Kernel<void(Arguments...)> {
public:
  Kernel(void (*function)(Arguments...), std::optional<gpu::Grid> grid) : function(function), grid(grid) {}
  void operator()(Arguments... arguments) const {
    grid ? gpu::runGrid(*grid, [&] { function(arguments...); }) : function(arguments...);
  }

private:
  void (*function)(Arguments...);
  std::optional<gpu::Grid> grid;
};

class KernelJit {
public:
  explicit KernelJit(JitTarget target);

  // `kernel`: the attribute's text. `arguments`: 'p' for a pointer, 'i' for i64.
  void declare(std::string name, std::string kernel, std::string arguments);
  void compile();
  template <class Signature> Signature *function(std::string_view name) { return address(name).toPtr<Signature *>(); }
  template <class Signature> Kernel<Signature> kernel(const std::string &name) { return {function<Signature>(name), grid(name)}; }
  // Of a kernel for a device: the block that runs it.
  std::optional<gpu::Grid> grid(const std::string &name) const;
  // The shared memory that a block needs for it. Run it as test/gpu/emulator/Fibers.h says.
  int64_t sharedBytes(const std::string &name) const { return shared.at(name); }
  // The code that `target` gets, as text; PTX for "sm_80" and later, each kernel an
  // entry. Instead of compile().
  std::string assembly(const std::string &cpu);

private:
  std::unique_ptr<llvm::Module> lower(llvm::LLVMContext &context);
  llvm::orc::ExecutorAddr address(std::string_view name);

  JitTarget target;
  std::string text; // the module before emission
  std::map<std::string, int64_t> shared;
  int64_t threads = 0; // of a device's blocks
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

} // namespace llmc::kernels::testing
