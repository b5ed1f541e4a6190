// Turns LLVM code for a GPU into code for this CPU that runs under Fibers.h.
#pragma once

#include "llvm/IR/Module.h"
#include "llvm/Support/Error.h"

namespace llmc::gpu {

// Before or after optimisation for the GPU. Kernels become plain functions; intrinsics of NVPTX become calls of functions named as
// `hostName` says; llmc_grid_barrier loses its body. Triple and data layout are for the caller to set.
// Errors: an intrinsic of NVPTX that the emulator does not have; inline assembly.
llvm::Error makeHostCode(llvm::Module &module);

// "llvm.nvvm.idp4a.s.s" -> "llmc_gpu_nvvm_idp4a_s_s"; other names stay.
std::string hostName(llvm::StringRef symbol);

} // namespace llmc::gpu
