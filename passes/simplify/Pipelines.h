// The phase `simplify` as one list.
#pragma once

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace llmc {

// Appends the phase's passes to `pm`, which runs on modules.
void buildSimplifyPipeline(mlir::OpPassManager &pm);

// Makes `--llm-simplify-pipeline` known.
void registerSimplifyPipelines();

} // namespace llmc
