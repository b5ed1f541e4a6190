// What is special about code for GPUs: what it may call, and the assembler that turns PTX into machine code.
#pragma once

#include "compiler/codegen/Target.h"

#include "llvm/IR/Module.h"

#include <optional>

namespace llmc::codegen {

// GPU code is linked with nothing: there is no libm, and the backend ends the process on functions that it would have to call.
// Errors: Unsupported, naming a kernel and the function that it needs.
llvm::Error checkDeviceCode(const llvm::Module &module);

// NVIDIA's assembler: what LLMC_PTXAS names (nothing: none), else on PATH, in /usr/local/cuda/bin, or where examples/install.sh --cuda puts it.
std::optional<std::string> findPtxas();

// Machine code for exactly this GPU. `work`: a directory for temporary files. Errors: Internal, with what ptxas said.
llvm::Expected<std::string> assemble(llvm::StringRef ptxas, llvm::StringRef ptx, const Target &target, llvm::StringRef work);

} // namespace llmc::codegen
