// Attention: append first, then attend, with a barrier between, so that every row sees the keys of its own step.
#include "passes/schedule/StepBuilder.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;
using namespace llmc::schedule;

void StepBuilder::attention(AttentionOp op) {
  auto state = module.lookupSymbol<StateOp>(op.getStateAttr());
  auto cache = cast<KVCacheType>(state.getType());
  Stored q = stored(op.getQ()), k = stored(op.getK()), v = stored(op.getV());
  int64_t headDim = cache.getHeadDim(), heads = q.channels / headDim, kvHeads = cache.getKvHeads();
  Value index = state.getLayers() ? lookup(layerTable(*state.getLayers()), layerIndex) : layerIndex;
  auto slotCache = [&](Value token) -> Value {
    Value slot = tile::EntryOp::create(b, loc, b.getI64Type(), field("slots"), token);
    return tile::StateOp::create(b, loc, pointerType(), step, state.getSymNameAttr(), index, slot);
  };
  auto position = [&](Value token) -> Value { return tile::EntryOp::create(b, loc, b.getI64Type(), field("positions"), token); };
  if (op.getRotary() || op.getNorm()) // they work in place
    q = ownCopy(op.getQ(), "q"), k = ownCopy(op.getK(), "k");
  Stored out = destination(op.getY(), Rows::Tokens, "attention");
  closeRows();

  // One tile is one head of one token; heads of k and v follow those of q.
  auto tileOf = [&](Value tile, int64_t perToken) -> std::pair<Value, Value> {
    Value count = i64(perToken);
    return {arith::DivUIOp::create(b, loc, tile, count), arith::RemUIOp::create(b, loc, tile, count)};
  };
  auto prepare = tile::PrepareAttr::get(b.getContext(), heads, kvHeads, headDim, cache.getElement(),
                                        op.getRotary().value_or(RotaryAttr()), op.getNorm().value_or(llm::NormAttr()));
  parallel(arith::MulIOp::create(b, loc, rowCount(Rows::Tokens), i64(heads + kvHeads)), [&](Value tile) {
    auto [token, head] = tileOf(tile, heads + kvHeads);
    SmallVector<Value> operands{head, position(token), rowPointer(q, token), rowPointer(k, token), rowPointer(v, token), slotCache(token)};
    if (op.getTable())
      operands.push_back(rowPointer(stored(op.getTable()), token));
    if (op.getQGain())
      operands.append({vectorWeight(op.getQGain()), vectorWeight(op.getKGain())});
    call("prepare", prepare, operands);
  });

  auto attend = tile::AttendAttr::get(b.getContext(), heads, kvHeads, headDim, cache.getElement(), op.getScale().convertToDouble(),
                                      op.getWindow(), op.getSoftcap().convertToDouble());
  parallel(arith::MulIOp::create(b, loc, rowCount(Rows::Tokens), i64(heads)), [&](Value tile) {
    auto [token, head] = tileOf(tile, heads);
    call("attend", attend, {head, position(token), rowPointer(q, token), slotCache(token), rowPointer(out, token),
                            scratch((64 + headDim) * 4)});
  });
}
