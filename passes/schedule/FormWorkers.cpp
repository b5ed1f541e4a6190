// --tile-form-workers: see Passes.td.
#include "passes/schedule/Passes.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/IR/IRMapping.h"

namespace llmc {
#define GEN_PASS_DEF_TILEFORMWORKERS
#include "passes/schedule/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;

namespace {

// Of the tiles of a stream that many belong to a worker each, and that many to whoever is first: so a slow worker is helped.
constexpr int64_t kOwn = 3, kShared = 1;

// Which tiles of a loop a worker runs.
struct Tiles {
  Location loc;
  scf::ForallOp loop;
  Value step, count;

  Value constant(OpBuilder &b, int64_t value) { return arith::ConstantIntOp::create(b, loc, value, 64); }
  Value add(OpBuilder &b, Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value mul(OpBuilder &b, Value x, Value y) { return arith::MulIOp::create(b, loc, x, y); }
  Value isLess(OpBuilder &b, Value x, Value y) { return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, x, y); }
  Value claim(OpBuilder &b) { return tile::ClaimOp::create(b, loc, b.getI64Type(), step); }

  void run(OpBuilder &b, Value tile) {
    IRMapping map;
    map.map(loop.getInductionVar(0), arith::IndexCastOp::create(b, loc, b.getIndexType(), tile).getResult());
    for (Operation &op : loop.getBody()->without_terminator())
      b.clone(op, map);
  }

  // Runs tiles while there are any. `next` gives one from what the round before left, `left` says what this one leaves.
  void rounds(OpBuilder &b, ValueRange initial, llvm::function_ref<Value(OpBuilder &, ValueRange)> next,
              llvm::function_ref<SmallVector<Value>(OpBuilder &, Value)> left) {
    Type i64 = b.getI64Type();
    scf::WhileOp::create(
        b, loc, TypeRange{i64}, initial,
        [&](OpBuilder &b, Location, ValueRange before) {
          Value tile = next(b, before);
          scf::ConditionOp::create(b, loc, isLess(b, tile, count), tile);
        },
        [&](OpBuilder &b, Location, ValueRange tile) {
          run(b, tile[0]);
          scf::YieldOp::create(b, loc, left(b, tile[0]));
        });
  }

  void claimed(OpBuilder &b) {
    rounds(b, {}, [&](OpBuilder &b, ValueRange) { return claim(b); }, [](OpBuilder &, Value) { return SmallVector<Value>(); });
  }

  // First the worker's own, one behind the other, then of what is left over.
  void ownFirst(OpBuilder &b, Value worker) {
    Value workers = tile::WorkersOp::create(b, loc, b.getI64Type(), step);
    Value owned = mul(b, count, constant(b, kOwn)), parts = mul(b, workers, constant(b, kOwn + kShared));
    Value share = arith::DivUIOp::create(b, loc, owned, parts);
    Value first = mul(b, worker, share), end = add(b, first, share), leftOver = mul(b, workers, share);
    auto own = [&](Value tile) { return [this, tile](OpBuilder &b, Location) { scf::YieldOp::create(b, loc, tile); }; };
    auto other = [&](OpBuilder &b, Location) { scf::YieldOp::create(b, loc, add(b, leftOver, claim(b))); };
    rounds(b, first,
           [&](OpBuilder &b, ValueRange tile) -> Value {
             return scf::IfOp::create(b, loc, isLess(b, tile[0], end), own(tile[0]), other).getResult(0);
           },
           [&](OpBuilder &b, Value tile) { return SmallVector<Value>{add(b, tile, constant(b, 1))}; });
  }
};

struct FormWorkers : llmc::impl::TileFormWorkersBase<FormWorkers> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (!function->hasAttr("llm.max_tokens") || function.isExternal())
      return;
    SmallVector<scf::ForallOp> loops;
    function.walk([&](scf::ForallOp loop) { loops.push_back(loop); });
    for (scf::ForallOp loop : loops)
      form(loop, function.getArgument(0), function.getArgument(1));
  }

  void form(scf::ForallOp loop, Value step, Value worker) {
    OpBuilder b(loop);
    Location loc = loop.getLoc();
    Value bound = getValueOrCreateConstantIndexOp(b, loc, loop.getMixedUpperBound()[0]);
    Tiles tiles{loc, loop, step, arith::IndexCastOp::create(b, loc, b.getI64Type(), bound)};
    loop->hasAttr(schedule::kStreamsAttr) ? tiles.ownFirst(b, worker) : tiles.claimed(b);
    tile::BarrierOp::create(b, loc, step);
    ++barriers;
    loop.erase();
  }
};

} // namespace
