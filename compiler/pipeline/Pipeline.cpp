#include "compiler/pipeline/Pipeline.h"

#include "compiler/halide/LinkKernels.h"
#include "passes/fusion/Passes.h"
#include "passes/fusion/Pipelines.h"
#include "passes/lowering/Passes.h"
#include "passes/quantization/Passes.h"
#include "passes/schedule/Passes.h"
#include "passes/simplify/Pipelines.h"
#include "passes/specialize/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace llmc {
namespace {

void simplify(OpPassManager &pm, const PipelineOptions &) { buildSimplifyPipeline(pm); }

void fuse(OpPassManager &pm, const PipelineOptions &) {
  buildFusePipeline(pm);
  pm.addNestedPass<func::FuncOp>(createLLMChunkScan());
}

void quantize(OpPassManager &pm, const PipelineOptions &options) {
  if (!options.quantize.empty())
    pm.addPass(createLLMQuantize({.scheme = options.quantize, .keep = SmallVector<std::string>(options.quantizeKeep.begin(), options.quantizeKeep.end())}));
}

void specialize(OpPassManager &pm, const PipelineOptions &options) {
  LLMSpecializeOptions specialize;
  specialize.exact = options.exact;
  specialize.cacheType = options.cacheType;
  specialize.few = options.fewTokens;
  specialize.fewOfHalves = options.fewOfHalves;
  specialize.tokens = SmallVector<int64_t>(options.stepTokens.begin(), options.stepTokens.end());
  pm.addPass(createLLMSpecialize(specialize));
}

void schedule(OpPassManager &pm, const PipelineOptions &options) {
  auto keeps = [&](const char *decision) { return !llvm::is_contained(options.disabled, decision); };
  pm.addPass(createTileSchedule({.mergeRows = keeps("tile-schedule.merge-rows"),
                                 .groupHeads = keeps("tile-schedule.group-heads"),
                                 .panelTurns = keeps("tile-schedule.panel-turns"),
                                 .largeTiles = keeps("tile-schedule.large-tiles"),
                                 .int8Rows = keeps("tile-schedule.int8-rows"),
                                 .bf16Rows = keeps("tile-schedule.bf16-rows"),
                                 .bf16Attention = keeps("tile-schedule.bf16-attention"),
                                 .splitPositions = keeps("tile-schedule.split-positions"),
                                 .streams = keeps("tile-schedule.streams")}));
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createTilePlanMemory({.share = keeps("tile-plan-memory.share")}));
  if (options.profile && options.device)
    pm.addPass(createTileProfile());
  if (options.device)
    pm.addPass(keeps("tile-form-blocks.ahead") ? createTileFormBlocks() : createTileFormBlocks({.aheadBytes = 0}));
  else
    pm.addNestedPass<func::FuncOp>(createTileFormWorkers());
  if (options.profile && !options.device)
    pm.addPass(createTileProfile());
}

void lower(OpPassManager &pm, const PipelineOptions &options) {
  pm.addPass(createTileEmitKernelsBut(halide::choice(options.kernels)));
  pm.addPass(createTileToLLVM({.prefix = options.stepPrefix}));
  pm.addNestedPass<func::FuncOp>(createMathApproximate({.trigonometry = options.device}));
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

constexpr Phase kPhases[] = {
    {"simplify", "canonical forms, ties found, dead weights dropped", simplify},
    {"fuse", "Q/K/V and gate/up into one product; norms, activations and residuals into it; rope into attention; recurrences by chunks", fuse},
    {"quantize", "with --quantize: weights of products get fewer bits", quantize},
    {"specialize", "versions of the step for one token and for many; the mode's numerics", specialize},
    {"schedule", "parallel loops over tiles, memory planned, one parallel region per step", schedule},
    {"lower", "kernels for the target, then the LLVM dialect", lower},
};

} // namespace

llvm::ArrayRef<Phase> phases() { return kPhases; }

const Phase *findPhase(llvm::StringRef name) {
  const Phase *found = llvm::find_if(kPhases, [&](const Phase &phase) { return phase.name == name; });
  return found == std::end(kPhases) ? nullptr : found;
}

} // namespace llmc
