// The phase `fuse` as one list.
#pragma once

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace llmc {

// Appends the phase's passes to `pm`, which runs on modules. The phase `simplify` comes before it.
void buildFusePipeline(mlir::OpPassManager &pm);

// Makes `--llm-fuse-pipeline` known.
void registerFusePipelines();

} // namespace llmc
