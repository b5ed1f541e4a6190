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

struct FormWorkers : llmc::impl::TileFormWorkersBase<FormWorkers> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (!function->hasAttr("llm.max_tokens") || function.isExternal())
      return;
    SmallVector<scf::ForallOp> loops;
    function.walk([&](scf::ForallOp loop) { loops.push_back(loop); });
    for (scf::ForallOp loop : loops)
      form(loop, function.getArgument(0));
  }

  void form(scf::ForallOp loop, Value step) {
    OpBuilder b(loop);
    Location loc = loop.getLoc();
    Type i64 = b.getI64Type();
    Value bound = getValueOrCreateConstantIndexOp(b, loc, loop.getMixedUpperBound()[0]);
    Value count = arith::IndexCastOp::create(b, loc, i64, bound);
    auto claims = scf::WhileOp::create(
        b, loc, TypeRange{i64}, ValueRange{},
        [&](OpBuilder &b, Location loc, ValueRange) {
          Value tile = tile::ClaimOp::create(b, loc, b.getI64Type(), step);
          Value more = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, tile, count);
          scf::ConditionOp::create(b, loc, more, tile);
        },
        [&](OpBuilder &b, Location loc, ValueRange tile) {
          IRMapping map;
          map.map(loop.getInductionVar(0), arith::IndexCastOp::create(b, loc, b.getIndexType(), tile[0]).getResult());
          for (Operation &op : loop.getBody()->without_terminator())
            b.clone(op, map);
          scf::YieldOp::create(b, loc);
        });
    b.setInsertionPointAfter(claims);
    tile::BarrierOp::create(b, loc, step);
    ++barriers;
    loop.erase();
  }
};

} // namespace
