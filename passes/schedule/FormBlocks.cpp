// --tile-form-blocks: see Passes.td.
#include "passes/schedule/Passes.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/FormatVariadic.h"

namespace llmc {
#define GEN_PASS_DEF_TILEFORMBLOCKS
#include "passes/schedule/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;

namespace {

SmallVector<scf::ForallOp> loopsOf(func::FuncOp function) {
  SmallVector<scf::ForallOp> loops;
  function.walk([&](scf::ForallOp loop) { loops.push_back(loop); });
  return loops;
}

// The function of one loop. What the loop uses from outside of it is computed anew inside.
class Phase {
public:
  Phase(func::FuncOp step, scf::ForallOp loop, int64_t number) : step(step), loop(loop), b(step), loc(loop.getLoc()) {
    auto pointer = step.getArgument(0).getType();
    Type i64 = b.getI64Type();
    std::string name = llvm::formatv("{0}_phase_{1}", step.getName(), number).str();
    function = func::FuncOp::create(b, loc, name, b.getFunctionType({pointer, i64, i64}, {}));
    function.setPrivate();
    function->setAttr("tile.phase", b.getI64IntegerAttr(number));
    if (Attribute bytes = step->getAttr("tile.scratch_bytes"))
      function->setAttr("tile.scratch_bytes", bytes);
    Block *body = function.addEntryBlock();
    map.map(step.getArguments(), body->getArguments().drop_back());
    b.setInsertionPointToStart(body);
  }

  LogicalResult build() {
    Value count = boundOfLoop();
    llvm::SetVector<Value> outer;
    getUsedValuesDefinedAbove(loop.getRegion(), outer);
    for (Value value : outer)
      if (!inside(value))
        return failure();
    if (!count)
      return failure();
    Value workers = tile::WorkersOp::create(b, loc, b.getI64Type(), function.getArgument(0));
    scf::ForOp::create(b, loc, function.getArgument(1), count, workers, ValueRange(), [&](OpBuilder &b, Location loc, Value tile, ValueRange) {
      map.map(loop.getInductionVar(0), arith::IndexCastOp::create(b, loc, b.getIndexType(), tile).getResult());
      for (Operation &op : loop.getBody()->without_terminator())
        b.clone(op, map);
      scf::YieldOp::create(b, loc);
    });
    func::ReturnOp::create(b, loc);
    return success();
  }

  func::FuncOp function;
  Value layer; // in the step: the index of the loop around this one; null if there is none

private:
  Value boundOfLoop() {
    OpFoldResult bound = loop.getMixedUpperBound()[0];
    Value value = dyn_cast<Value>(bound);
    value = value ? inside(value) : getValueOrCreateConstantIndexOp(b, loc, bound);
    return value ? arith::IndexCastOp::create(b, loc, b.getI64Type(), value).getResult() : Value();
  }

  // What stands for a value of the step in the phase; null, with a diagnostic, if there is nothing.
  Value inside(Value value) {
    if (Value known = map.lookupOrNull(value))
      return known;
    Operation *op = value.getDefiningOp();
    if (!op)
      return outerIndex(cast<BlockArgument>(value));
    bool isPlain = isa<tile::TileDialect, arith::ArithDialect>(op->getDialect()) && op->getNumRegions() == 0;
    if (!isPlain || !(isa<tile::BufferOp>(op) || isMemoryEffectFree(op)))
      return op->emitOpError() << "tile-form-blocks: a parallel loop uses its result, which a kernel can't compute anew", Value();
    for (Value operand : op->getOperands())
      if (!inside(operand))
        return {};
    return b.clone(*op, map)->getResult(cast<OpResult>(value).getResultNumber());
  }

  Value outerIndex(BlockArgument value) {
    auto outer = dyn_cast<scf::ForOp>(value.getOwner()->getParentOp());
    bool isIndex = outer && outer == loop->getParentOfType<scf::ForOp>() && outer.getInductionVar() == value && value.getType().isInteger(64);
    if (!isIndex)
      return value.getOwner()->getParentOp()->emitOpError() << "tile-form-blocks: a parallel loop may use the i64 index of the loop around it, and nothing else that loops carry", Value();
    layer = value;
    map.map(value, function.getArgument(2));
    return function.getArgument(2);
  }

  func::FuncOp step;
  scf::ForallOp loop;
  OpBuilder b;
  Location loc;
  IRMapping map;
};

struct FormBlocks : llmc::impl::TileFormBlocksBase<FormBlocks> {
  void runOnOperation() override {
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (function->hasAttr("llm.max_tokens") && !function.isExternal() && failed(form(function)))
        return signalPassFailure();
  }

  LogicalResult form(func::FuncOp step) {
    func::FuncOp launches = copyForLaunches(step);
    for (auto [number, pair] : llvm::enumerate(llvm::zip_equal(loopsOf(step), loopsOf(launches)))) {
      auto [loop, launched] = pair;
      Phase phase(step, loop, static_cast<int64_t>(number));
      if (failed(phase.build()))
        return failure();
      launch(launched, phase, static_cast<int64_t>(number), launches);
      call(loop, phase, step);
      ++phases;
    }
    return finishLaunches(launches);
  }

  static Value layerOrZero(OpBuilder &b, Location loc, Value layer) {
    return layer ? layer : arith::ConstantIntOp::create(b, loc, 0, 64).getResult();
  }

  static void call(scf::ForallOp loop, const Phase &phase, func::FuncOp step) {
    OpBuilder b(loop);
    Value layer = layerOrZero(b, loop.getLoc(), phase.layer);
    func::CallOp::create(b, loop.getLoc(), phase.function, ValueRange{step.getArgument(0), step.getArgument(1), layer});
    tile::BarrierOp::create(b, loop.getLoc(), step.getArgument(0));
    loop.erase();
  }

  // The step's second argument becomes the launcher once no loop uses it as a worker.
  static func::FuncOp copyForLaunches(func::FuncOp step) {
    OpBuilder b(step);
    auto launches = cast<func::FuncOp>(b.clone(*step));
    launches.setName((step.getName() + "_launches").str());
    launches->setDiscardableAttrs(ArrayRef<NamedAttribute>{b.getNamedAttr("tile.host", b.getUnitAttr())});
    return launches;
  }

  static void launch(scf::ForallOp loop, const Phase &phase, int64_t number, func::FuncOp launches) {
    OpBuilder b(loop);
    Value layer;
    if (phase.layer) // the same loop over layers, in the copy
      layer = loop->getParentOfType<scf::ForOp>().getInductionVar();
    tile::LaunchOp::create(b, loop.getLoc(), launches.getArgument(1), static_cast<uint64_t>(number), layerOrZero(b, loop.getLoc(), layer));
    loop.erase();
  }

  // One list of launches serves every step of the same sign of `best`.
  static LogicalResult finishLaunches(func::FuncOp launches) {
    Block &body = launches.getBody().front();
    body.getArgument(1).setType(body.getArgument(0).getType());
    launches.setType(FunctionType::get(launches.getContext(), body.getArgumentTypes(), {}));
    launches.walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
      if (isOpTriviallyDead(op))
        op->erase();
    });
    WalkResult result = launches.walk([](Operation *op) -> WalkResult {
      auto field = dyn_cast<tile::FieldOp>(op);
      if (!isa<tile::TileDialect>(op->getDialect()) || isa<tile::LaunchOp, tile::LookupOp>(op) || (field && field.getName() == "best"))
        return WalkResult::advance();
      return op->emitOpError() << "tile-form-blocks: what is launched depends on it; of a step's arguments only `best` may decide that";
    });
    return failure(result.wasInterrupted());
  }
};

} // namespace
