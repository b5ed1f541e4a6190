#include "passes/simplify/Pipelines.h"

#include "passes/simplify/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void llmc::buildSimplifyPipeline(OpPassManager &pm) {
  pm.addPass(createDetectTies());
  pm.addNestedPass<func::FuncOp>(createSimplify());
  pm.addNestedPass<func::FuncOp>(createCSEPass());
  pm.addPass(createDropDeadWeights());
}

void llmc::registerSimplifyPipelines() {
  PassPipelineRegistration<>("llm-simplify-pipeline", "The phase simplify: every constant, weight and table said once",
                             buildSimplifyPipeline);
}
