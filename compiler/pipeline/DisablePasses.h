// `--disable-pass`: which passes, and decisions of passes, a compilation may leave out.
#pragma once

#include "compiler/pipeline/Pipeline.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/Error.h"

namespace llmc {

// What can be left out: every pass of the phases simplify and fuse, those of later phases that only make the code better, and decisions
// spelt PASS.OPTION. In the order of the pipeline.
std::vector<std::string> passesToLeaveOut();

// Errors: InvalidInput if a name is unknown (the message lists those that are not), or if no code can be made without the pass.
// `pipeline`: as --pipeline gives it; its passes may be left out too.
llvm::Error checkDisabled(llvm::ArrayRef<std::string> names, llvm::StringRef pipeline);

// Passes that run in this context do nothing where `names` has them.
void skipPasses(mlir::MLIRContext &context, const std::vector<std::string> &names);

} // namespace llmc
