#include "passes/fusion/Pipelines.h"

#include "passes/fusion/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;

void llmc::buildFusePipeline(OpPassManager &pm) {
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createFuseParallelLinears());
  function.addPass(createFuseGLU());
  function.addPass(createFuseActivation());
  function.addPass(createFuseNormLinear());
  function.addPass(createFuseResidual());
  function.addPass(createFuseTopK());
  function.addPass(createFuseAttention());
}

void llmc::registerFusePipelines() {
  PassPipelineRegistration<>(
      "llm-fuse-pipeline", "The phase fuse: neighbours become one op that reads its operands once", buildFusePipeline);
}
