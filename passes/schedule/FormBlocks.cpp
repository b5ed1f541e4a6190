// --tile-form-blocks: see Passes.td.
#include "passes/schedule/Passes.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Dominance.h"
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

// A loop's product: it reads panels by the tile's number, from weights that are known before the step.
struct Product {
  func::CallOp call;
  tile::LinearAttr kernel;
};

// Whether the step's arguments, the loop's tile and the layer are enough to compute a value. What earlier loops wrote may not be there yet.
bool isKnownAhead(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return true;
  bool isPlain = isa<tile::TileDialect, arith::ArithDialect>(op->getDialect()) && op->getNumRegions() == 0 && !isa<tile::EntryOp>(op);
  return isPlain && (isa<tile::BufferOp>(op) || isMemoryEffectFree(op)) && llvm::all_of(op->getOperands(), isKnownAhead);
}

// LLVM 22 has the instruction for these alone.
bool canAskAhead(ModuleOp module) {
  auto target = module->getAttrOfType<tile::TargetAttr>("tile.target");
  StringRef name = target ? target.getName() : StringRef();
  unsigned compute = 0;
  return name.consume_front("sm_") && !name.getAsInteger(10, compute) && compute >= 90;
}

std::optional<Product> productOf(scf::ForallOp loop) {
  auto module = loop->getParentOfType<ModuleOp>();
  for (auto call : loop.getBody()->getOps<func::CallOp>()) {
    auto callee = module.lookupSymbol<func::FuncOp>(call.getCallee());
    auto kernel = callee ? callee->getAttrOfType<tile::LinearAttr>("tile.kernel") : tile::LinearAttr();
    if (kernel && llvm::all_of(call.getOperands(), isKnownAhead))
      return Product{call, kernel};
  }
  return std::nullopt;
}

// A function of one loop. What the loop uses from outside of it is computed anew inside.
class Phase {
public:
  Phase(func::FuncOp step, scf::ForallOp loop, StringRef what, int64_t number) : step(step), loop(loop), b(step), loc(loop.getLoc()) {
    auto pointer = step.getArgument(0).getType();
    Type i64 = b.getI64Type();
    std::string name = llvm::formatv("{0}_{1}_{2}", step.getName(), what, number).str();
    function = func::FuncOp::create(b, loc, name, b.getFunctionType({pointer, i64, i64}, {}));
    function.setPrivate();
    if (Attribute bytes = step->getAttr("tile.scratch_bytes"))
      function->setAttr("tile.scratch_bytes", bytes);
    Block *body = function.addEntryBlock();
    map.map(step.getArguments(), body->getArguments().drop_back());
    b.setInsertionPointToStart(body);
  }

  // Runs the tiles that fall to the worker.
  LogicalResult build(int64_t number) {
    function->setAttr("tile.phase", b.getI64IntegerAttr(number));
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

  // Asks for the weights of the first of them; `kernel` does that for a tile.
  LogicalResult buildAhead(Product product, func::FuncOp kernel) {
    Value count = boundOfLoop(), worker = function.getArgument(1);
    if (!count)
      return failure();
    auto branch = scf::IfOp::create(b, loc, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, worker, count));
    func::ReturnOp::create(b, loc);
    b.setInsertionPointToStart(branch.thenBlock());
    map.map(loop.getInductionVar(0), arith::IndexCastOp::create(b, loc, b.getIndexType(), worker).getResult());
    SmallVector<Value> operands;
    for (Value operand : product.call.getOperands())
      operands.push_back(inside(operand));
    if (llvm::is_contained(operands, Value()))
      return failure();
    func::CallOp::create(b, loc, kernel, operands);
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

// What became of a loop: in the step, a call and a barrier.
struct Formed {
  tile::BarrierOp barrier;
  func::FuncOp ahead; // null: the loop has no product whose weights are known ahead
  Value layer;        // as Phase has it
};

struct FormBlocks : llmc::impl::TileFormBlocksBase<FormBlocks> {
  using TileFormBlocksBase::TileFormBlocksBase;

  void runOnOperation() override {
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (function->hasAttr("llm.max_tokens") && !function.isExternal() && failed(form(function)))
        return signalPassFailure();
  }

  LogicalResult form(func::FuncOp step) {
    func::FuncOp launches = copyForLaunches(step);
    bool isOfFew = step->getAttrOfType<IntegerAttr>("llm.max_tokens").getInt() <= schedule::kFewTokens;
    bool asksAhead = aheadBytes > 0 && isOfFew && canAskAhead(getOperation());
    SmallVector<Formed> formed;
    for (auto [index, pair] : llvm::enumerate(llvm::zip_equal(loopsOf(step), loopsOf(launches)))) {
      auto [loop, launched] = pair;
      auto number = static_cast<int64_t>(index);
      Phase phase(step, loop, "phase", number);
      if (failed(phase.build(number)))
        return failure();
      func::FuncOp ahead;
      if (asksAhead && failed(formAhead(step, loop, number, ahead)))
        return failure();
      launch(launched, phase, number, launches);
      formed.push_back({call(loop, phase, step), ahead, phase.layer});
      ++phases;
    }
    askAhead(step, formed);
    return finishLaunches(launches);
  }

  LogicalResult formAhead(func::FuncOp step, scf::ForallOp loop, int64_t number, func::FuncOp &ahead) {
    std::optional<Product> product = productOf(loop);
    if (!product)
      return success();
    Phase phase(step, loop, "ahead", number);
    ahead = phase.function;
    return phase.buildAhead(*product, aheadKernel(*product));
  }

  // The kernel beside the product's.
  func::FuncOp aheadKernel(Product product) {
    std::string name = (product.call.getCallee() + "_ahead").str();
    if (auto known = getOperation().lookupSymbol<func::FuncOp>(name))
      return known;
    OpBuilder b = OpBuilder::atBlockEnd(getOperation().getBody());
    auto kernel = func::FuncOp::create(b, product.call.getLoc(), name, product.call.getCalleeType());
    kernel.setPrivate();
    kernel->setAttr("tile.kernel", tile::AheadAttr::get(&getContext(), product.kernel, aheadBytes));
    return kernel;
  }

  // Weights are asked for before the barrier of the product before; those of a loop's first product before its last one's, and before the loop.
  void askAhead(func::FuncOp step, ArrayRef<Formed> formed) {
    for (const Formed &product : formed) {
      if (!product.ahead)
        continue;
      ++ahead;
      Block *block = product.barrier->getBlock();
      SmallVector<const Formed *> beside;
      for (const Formed &other : formed)
        if (other.ahead && other.barrier->getBlock() == block)
          beside.push_back(&other);
      auto *place = llvm::find(beside, &product);
      if (place != beside.begin())
        ask(step, OpBuilder((*(place - 1))->barrier), product, product.layer);
      else if (auto loop = dyn_cast<scf::ForOp>(block->getParentOp()); loop && loop.getInductionVar().getType().isInteger(64))
        askInLoop(step, loop, *beside.back(), product, formed);
    }
  }

  static void askInLoop(func::FuncOp step, scf::ForOp loop, const Formed &last, const Formed &first, ArrayRef<Formed> formed) {
    OpBuilder b(last.barrier);
    auto layerOf = [&](Value turn) { return first.layer ? turn : Value(); };
    Value next = arith::AddIOp::create(b, loop.getLoc(), loop.getInductionVar(), loop.getStep());
    auto isThere = arith::CmpIOp::create(b, loop.getLoc(), arith::CmpIPredicate::slt, next, loop.getUpperBound());
    auto branch = scf::IfOp::create(b, loop.getLoc(), isThere);
    ask(step, OpBuilder(branch.thenYield()), first, layerOf(next));
    for (const Formed &other : llvm::reverse(formed))
      if (other.barrier->getBlock() == loop->getBlock() && other.barrier->isBeforeInBlock(loop))
        return askBeforeLoop(step, loop, other, first, layerOf(loop.getLowerBound()));
  }

  // If there is a first turn; bounds that are not there yet are not waited for.
  static void askBeforeLoop(func::FuncOp step, scf::ForOp loop, const Formed &before, const Formed &first, Value layer) {
    DominanceInfo dominance(step);
    if (!dominance.dominates(loop.getUpperBound(), before.barrier) || !dominance.dominates(loop.getLowerBound(), before.barrier))
      return;
    OpBuilder b(before.barrier);
    auto isThere = arith::CmpIOp::create(b, loop.getLoc(), arith::CmpIPredicate::slt, loop.getLowerBound(), loop.getUpperBound());
    ask(step, OpBuilder(scf::IfOp::create(b, loop.getLoc(), isThere).thenYield()), first, layer);
  }

  static void ask(func::FuncOp step, OpBuilder b, const Formed &product, Value layer) {
    Location loc = product.barrier->getLoc();
    func::CallOp::create(b, loc, product.ahead, ValueRange{step.getArgument(0), step.getArgument(1), layerOrZero(b, loc, layer)});
  }

  static Value layerOrZero(OpBuilder &b, Location loc, Value layer) {
    return layer ? layer : arith::ConstantIntOp::create(b, loc, 0, 64).getResult();
  }

  static tile::BarrierOp call(scf::ForallOp loop, const Phase &phase, func::FuncOp step) {
    OpBuilder b(loop);
    Value layer = layerOrZero(b, loop.getLoc(), phase.layer);
    func::CallOp::create(b, loop.getLoc(), phase.function, ValueRange{step.getArgument(0), step.getArgument(1), layer});
    auto barrier = tile::BarrierOp::create(b, loop.getLoc(), step.getArgument(0));
    loop.erase();
    return barrier;
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
