// Makes dialects and passes known, to tools and to programs that link libllmc-compiler.
//
//   mlir::DialectRegistry registry;
//   llmc::registerAllDialects(registry);
//   mlir::MLIRContext context(registry);
#pragma once

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace llmc {

// The dialects of this project and every upstream dialect, with their extensions and the translations to LLVM IR.
void registerAllDialects(mlir::DialectRegistry &registry);

// The passes of this project and every upstream pass, in MLIR's global registry. Once per process, before the command
// line is parsed.
void registerAllPasses();

} // namespace llmc
