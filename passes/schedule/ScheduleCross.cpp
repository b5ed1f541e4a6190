// What a decoder and its encoder share: the kernels of attention, with no queries to prepare, and with all of the source to look at.
#include "passes/schedule/StepBuilder.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;
using namespace llmc::schedule;

// The memory of the layer's part of a state, in a token's slot.
Value StepBuilder::stateOf(StatefulOpInterface op, Value token) {
  auto state = module.lookupSymbol<StateOp>(op.getStateSymbol().getAttr());
  Value index = state.getLayers() ? lookup(layerTable(*state.getLayers()), layerIndex) : layerIndex;
  Value slot = tile::EntryOp::create(b, loc, b.getI64Type(), field("slots"), token);
  return tile::StateOp::create(b, loc, pointerType(), step, state.getSymNameAttr(), index, slot);
}

void StepBuilder::append(AppendOp op) {
  auto cache = cast<KVCacheType>(module.lookupSymbol<StateOp>(op.getStateAttr()).getType());
  Stored k = stored(op.getK()), v = stored(op.getV());
  closeRows();
  auto prepare = tile::PrepareAttr::get(b.getContext(), /*heads=*/0, cache.getKvHeads(), cache.getHeadDim(), cache.getElement(), RotaryAttr(), llm::NormAttr(), preparedHeads());
  Value perToken = i64((cache.getKvHeads() + preparedHeads() - 1) / preparedHeads());
  parallel(arith::MulIOp::create(b, loc, rowCount(Rows::Tokens), perToken), [&](Value tile) {
    Value token = arith::DivUIOp::create(b, loc, tile, perToken), heads = arith::RemUIOp::create(b, loc, tile, perToken);
    Value position = tile::EntryOp::create(b, loc, b.getI64Type(), field("positions"), token), keys = rowPointer(k, token);
    call("prepare", prepare, {heads, position, /*q=*/keys, keys, rowPointer(v, token), stateOf(op, token)});
  });
}

void StepBuilder::crossAttention(CrossAttentionOp op) {
  auto cache = cast<KVCacheType>(module.lookupSymbol<StateOp>(op.getStateAttr()).getType());
  Stored q = stored(op.getQ()), out = destination(op.getY(), Rows::Tokens, "cross_attention");
  int64_t headDim = cache.getHeadDim(), heads = q.channels / headDim;
  closeRows();
  auto attend = tile::AttendAttr::get(b.getContext(), heads, cache.getKvHeads(), headDim, cache.getElement(), op.getScale().convertToDouble(), /*window=*/0,
                                      /*softcap=*/0.0, /*sinks=*/false, /*group=*/1, /*slopes=*/false, /*reach=*/0, Mask::causal);
  parallel(arith::MulIOp::create(b, loc, rowCount(Rows::Tokens), i64(heads)), [&](Value tile) {
    Value token = arith::DivUIOp::create(b, loc, tile, i64(heads)), head = arith::RemUIOp::create(b, loc, tile, i64(heads));
    Value length = tile::EntryOp::create(b, loc, b.getI64Type(), field("source_lengths"), token);
    Value last = arith::SubIOp::create(b, loc, length, i64(1)); // who sees all of the source sees what its last token would
    call("attend", attend, {head, last, rowPointer(q, token), stateOf(op, token), rowPointer(out, token), scratch((64 + headDim) * 4)});
  });
}
