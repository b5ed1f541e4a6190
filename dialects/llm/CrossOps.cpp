// Verifiers and interfaces of the ops of LLMCrossOps.td.
#include "dialects/llm/LLM.h"
#include "dialects/llm/Shapes.h"

using namespace mlir;
using namespace llmc::llm;

// The cache that an op names; null, and said, if it is none.
template <class Op> static KVCacheType cacheOf(Op op, SymbolTableCollection &symbols) {
  auto state = symbols.lookupNearestSymbolFrom<StateOp>(op, op.getStateAttr());
  auto cache = state ? dyn_cast<KVCacheType>(state.getType()) : KVCacheType();
  if (cache && !cache.getValueDim())
    return cache;
  op.emitOpError("names no kv_cache state with values of its own: ") << op.getStateAttr();
  return {};
}

LogicalResult AppendOp::verify() {
  if (getK().getType() != getV().getType()) // append_c2
    return emitOpError("k and v must be of one type");
  return success();
}

LogicalResult AppendOp::verifySymbolUses(SymbolTableCollection &symbols) {
  KVCacheType cache = cacheOf(*this, symbols); // append_c1
  if (!cache)
    return failure();
  if (int64_t wanted = cache.getKvHeads() * cache.getHeadDim(); channels(getK()) != wanted)
    return emitOpError("k and v have ") << channels(getK()) << " channels, the cache " << wanted;
  return success();
}

void AppendOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  effects.emplace_back(MemoryEffects::Write::get(), getStateAttr(), StateResource::get());
}

LogicalResult CrossAttentionOp::verify() {
  if (!getScale().isFinite() || getScale().isNegative() || getScale().isZero()) // cross_attention_c3
    return emitOpError("needs scale > 0");
  return success();
}

LogicalResult CrossAttentionOp::verifySymbolUses(SymbolTableCollection &symbols) {
  KVCacheType cache = cacheOf(*this, symbols); // cross_attention_c1
  if (!cache)
    return failure();
  if (int64_t unit = cache.getKvHeads() * cache.getHeadDim(); channels(getQ()) % unit) // cross_attention_c2
    return emitOpError("q has ") << channels(getQ()) << " channels, no multiple of the cache's " << unit;
  return success();
}

void CrossAttentionOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  effects.emplace_back(MemoryEffects::Read::get(), getStateAttr(), StateResource::get());
}

FlatSymbolRefAttr AppendOp::getStateSymbol() { return getStateAttr(); }
Value AppendOp::getStateLayer() { return getLayer(); }
FlatSymbolRefAttr CrossAttentionOp::getStateSymbol() { return getStateAttr(); }
Value CrossAttentionOp::getStateLayer() { return getLayer(); }
