// What a decoder and its encoder share, in the reference interpreter.
#include "compiler/interpreter/Evaluate.h"
#include "compiler/interpreter/Failures.h"

#include "compiler/interpreter/Kernels.h"
#include "compiler/support/StatusBridge.h"
#include "dialects/llm/CacheLayout.h"

#include "llvm/Support/Parallel.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::interpreter;

llvm::Error Evaluator::append(llm::AppendOp op, Scope &scope) {
  auto slots = cacheOf(op, index(op.getLayer(), scope));
  if (!slots)
    return slots.takeError();
  Matrix k = matrix(op.getK(), scope), v = matrix(op.getV(), scope);
  int64_t tokens = batch->tokens.size();
  if (llvm::Error error = sameRows(op, {tokens, k.rows, v.rows}))
    return error;
  auto cache = llvm::cast<llm::KVCacheType>(module.lookupSymbol<llm::StateOp>(op.getStateAttr().getAttr()).getType());
  if (llm::isQ8Cache(cache.getElement()))
    kernels::roundToQ8(k, cache.getHeadDim()), kernels::roundToQ8(v, cache.getHeadDim());
  append(k, v, **slots);
  return llvm::Error::success();
}

llvm::Error Evaluator::crossAttention(llm::CrossAttentionOp op, Scope &scope) {
  auto slots = cacheOf(op, index(op.getLayer(), scope));
  if (!slots)
    return slots.takeError();
  const Matrix &q = matrix(op.getQ(), scope);
  if (llvm::Error error = sameRows(op, {static_cast<int64_t>(batch->tokens.size()), q.rows}))
    return error;
  for (auto [slot, length] : llvm::zip_equal(batch->slots, batch->sourceLengths))
    if (length < 1)
      return fail(op, ErrorCode::InvalidInput, "slot " + Twine(slot) + " has no source: run @encode on it first");
  auto cacheType = llvm::cast<llm::KVCacheType>(module.lookupSymbol<llm::StateOp>(op.getStateAttr().getAttr()).getType());
  int64_t headDim = cacheType.getHeadDim(), kvHeads = cacheType.getKvHeads(), heads = q.columns / headDim;
  Matrix y(q.rows, q.columns);
  llvm::parallelFor(0, q.rows, [&](size_t t) {
    const SlotCache &cache = (*slots)->at(batch->slots[t]);
    kernels::HeadScores how{static_cast<float>(op.getScale().convertToDouble()), 0, 0, batch->sourceLengths[t] - 1, headDim, kvHeads * headDim};
    for (int64_t head = 0; head < heads; ++head) {
      int64_t kv = head * kvHeads / heads * headDim;
      kernels::attend(q.row(t) + head * headDim, cache.keys.data() + kv, cache.values.data() + kv, how, y.row(t) + head * headDim);
    }
  });
  set(op.getY(), std::move(y), scope);
  return llvm::Error::success();
}
