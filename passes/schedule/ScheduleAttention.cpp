// Attention: append first, then attend, with a barrier between, so that every row sees the keys of its own step.
#include "dialects/llm/CacheLayout.h"
#include "passes/lowering/kernels/Kernels.h"
#include "passes/schedule/Passes.h"
#include "passes/schedule/StepBuilder.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;
using namespace llmc::schedule;

constexpr int64_t kEnoughTiles = 8; // of one token, for its workers

// How many of the `shared` heads that read one head of the cache go together: enough tiles must be left for the workers of a single
// token, and few enough sums for the registers.
static int64_t attendGroup(int64_t shared, int64_t kvHeads, bool single) {
  constexpr int64_t kMost = 8;
  for (int64_t group = std::min(shared, kMost); group > 1; --group)
    if (shared % group == 0 && (!single || kvHeads * shared / group >= kEnoughTiles))
      return group;
  return 1;
}

// Of a tile: a warp of a device has one.
int64_t StepBuilder::preparedHeads() const { return machine().isDevice() ? machine().getThreads() / 32 : 1; }
// Kernels of their own for prompts and for few tokens know causal masks alone, and no bias by distance; those of a GPU's matrices, no slopes.
static bool isCausal(AttentionOp op) { return op.getMask() == Mask::causal && !op.getBias(); }
static bool isPlain(AttentionOp op) { return isCausal(op) && !op.getSlopes(); }

// f32 [heads][2 * reach + 1]: what is added to scores by the distance of a key, -reach … reach.
Value StepBuilder::relativeBias(AttentionOp op, int64_t heads, int64_t reach) {
  int64_t distances = 2 * reach + 1, buckets = cast<RankedTensorType>(op.getBias().getType()).getShape()[0] / heads;
  auto kernel = tile::RelativeBiasAttr::get(b.getContext(), heads, distances);
  SmallVector<int64_t> bucketOf;
  for (int64_t distance = -reach; distance <= reach; ++distance)
    bucketOf.push_back(relativeBucket(*op.getRelative(), buckets, distance));
  Value table = memory(heads * distances * 4, "relative_bias");
  parallel(i64(distances), [&](Value index) { call("relative_bias", kernel, {lookup(bucketOf, index), index, vectorWeight(op.getBias()), table}); });
  return table;
}

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

  // One tile is a head, or some, of one token; heads of k and v follow those of q.
  auto tileOf = [&](Value tile, int64_t perToken) -> std::pair<Value, Value> {
    Value count = i64(perToken);
    return {arith::DivUIOp::create(b, loc, tile, count), arith::RemUIOp::create(b, loc, tile, count)};
  };
  auto prepare = tile::PrepareAttr::get(b.getContext(), heads, kvHeads, headDim, cache.getElement(),
                                        op.getRotary().value_or(RotaryAttr()), op.getNorm().value_or(llm::NormAttr()), preparedHeads());
  auto prepareHeads = [&](Value token, Value heads) {
    SmallVector<Value> operands{heads, position(token), rowPointer(q, token), rowPointer(k, token), rowPointer(v, token), slotCache(token)};
    if (op.getTable())
      operands.push_back(rowPointer(stored(op.getTable()), token));
    if (op.getQGain())
      operands.append({vectorWeight(op.getQGain()), vectorWeight(op.getKGain())});
    call("prepare", prepare, operands);
  };
  // Neighbouring tokens write to the same lines of the cache: one worker of a CPU takes some together.
  int64_t together = maxTokens == 1 || machine().isDevice() ? 1 : 16, perToken = (heads + kvHeads + preparedHeads() - 1) / preparedHeads();
  Value blocks = arith::DivUIOp::create(b, loc, arith::AddIOp::create(b, loc, rowCount(Rows::Tokens), i64(together - 1)), i64(together));
  parallel(arith::MulIOp::create(b, loc, blocks, i64(perToken)), [&](Value tile) {
    auto [block, heads] = tileOf(tile, perToken);
    if (together == 1)
      return prepareHeads(block, heads);
    Value first = arith::MulIOp::create(b, loc, block, i64(together)), last = arith::AddIOp::create(b, loc, first, i64(together));
    auto tokens = scf::ForOp::create(b, loc, first, arith::MinUIOp::create(b, loc, last, rowCount(Rows::Tokens)), i64(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(tokens.getBody());
    prepareHeads(tokens.getInductionVar(), heads);
  });

  if (attendsByMatrices(op, cache))
    return attendBlocks(op, cache, q, out);
  bool fitsBlocks = !op.getBias() && (op.getMask() == Mask::causal || (!op.getWindow() && !op.getSlopes()));
  int64_t blockGroup = machine().isDevice() && fitsBlocks ? kernels::blockAttendGroup(cache.getElement(), headDim, heads / kvHeads, machine()) : 0;
  if (attendsInBf16(op, cache) || (blockGroup && isCausal(op) && maxTokens == 1 && decisions.splitPositions))
    return attendRuns(op, cache, q, out);
  int64_t group = blockGroup ? blockGroup : decisions.groupHeads ? attendGroup(heads / kvHeads, kvHeads, maxTokens == 1) : 1;
  int64_t reach = op.getBias() ? static_cast<int64_t>(op.getRelative()->getMaxDistance()) + 16 : 0;
  Value bias = op.getBias() ? relativeBias(op, heads, reach) : Value();
  // Without a window or numbers that depend on the distance, who sees all of a sequence sees what its last token does.
  bool isFull = op.getMask() == Mask::full, asLast = isFull && !op.getWindow() && !bias && !op.getSlopes();
  auto attend = tile::AttendAttr::get(b.getContext(), heads, kvHeads, headDim, cache.getElement(), op.getScale().convertToDouble(),
                                      op.getWindow(), op.getSoftcap().convertToDouble(), static_cast<bool>(op.getSinks()), group,
                                      static_cast<bool>(op.getSlopes()), reach, asLast ? Mask::causal : op.getMask());
  auto length = [&](Value token) -> Value { return tile::EntryOp::create(b, loc, b.getI64Type(), field("lengths"), token); };
  parallel(arith::MulIOp::create(b, loc, rowCount(Rows::Tokens), i64(heads / group)), [&](Value tile) {
    auto [token, part] = tileOf(tile, heads / group);
    Value from = asLast ? arith::SubIOp::create(b, loc, length(token), i64(1)).getResult() : position(token);
    SmallVector<Value> operands{part, from, rowPointer(q, token), slotCache(token), rowPointer(out, token),
                                scratch(group * (64 + headDim) * 4)};
    for (Value perHead : {op.getSinks(), op.getSlopes()})
      if (perHead)
        operands.push_back(vectorWeight(perHead));
    if (bias)
      operands.push_back(bias);
    if (isFull && !asLast)
      operands.push_back(length(token));
    call("attend", attend, operands);
  });
}

bool StepBuilder::attendsInBf16(AttentionOp op, KVCacheType cache) {
  bool isNarrow = cache.getElement().isF16() || (isQ8Cache(cache.getElement()) && machine().getDot() == tile::Dot::vnni);
  return isCausal(op) && !exact && decisions.bf16Attention && bf16VectorsPay() && isNarrow && cache.getHeadDim() % 16 == 0 && op.getScale().convertToDouble() > 0;
}

// On GPUs, prompts. Few tokens are left to kernels that read a cache with all of a block for one token.
bool StepBuilder::attendsByMatrices(AttentionOp op, KVCacheType cache) {
  constexpr int64_t kMostChannels = 256;
  return machine().isDevice() && isPlain(op) && !exact && decisions.bf16Attention && maxTokens > kFewTokens && cache.getElement().isF16() && cache.getHeadDim() % 16 == 0 &&
         cache.getHeadDim() <= kMostChannels && op.getScale().convertToDouble() > 0;
}

// Tokens of a slot go together up to the next multiple of `count` in their positions, so that which do depends on no other slot; a tile is a
// token and a group of heads, and the first of those that go together takes them all.
void StepBuilder::attendBlocks(AttentionOp op, KVCacheType cache, const Stored &q, const Stored &out) {
  constexpr int64_t kMostHeads = 16, kRows = 128;
  int64_t headDim = cache.getHeadDim(), heads = q.channels / headDim, kvHeads = cache.getKvHeads(), group = decisions.groupHeads ? heads / kvHeads : 1;
  for (int64_t shared = group, cuts = 2; group > kMostHeads; ++cuts)
    if (shared % cuts == 0)
      group = shared / cuts;
  auto state = module.lookupSymbol<StateOp>(op.getStateAttr());
  Value index = state.getLayers() ? lookup(layerTable(*state.getLayers()), layerIndex) : layerIndex;
  int64_t groups = heads / group, count = kRows / group;
  auto kernel = tile::AttendRunsAttr::get(b.getContext(), heads, kvHeads, headDim, cache.getElement(), op.getScale().convertToDouble(), op.getWindow(),
                                          op.getSoftcap().convertToDouble(), static_cast<bool>(op.getSinks()), group, count, q.rowBytes, out.rowBytes,
                                          /*split=*/false, /*partial=*/false, /*slopes=*/false);
  auto entry = [&](StringRef array, Value token) -> Value { return tile::EntryOp::create(b, loc, b.getI64Type(), field(array), token); };
  auto compare = [&](arith::CmpIPredicate predicate, Value x, Value y) -> Value { return arith::CmpIOp::create(b, loc, predicate, x, y); };
  auto both = [&](Value x, Value y) -> Value { return arith::AndIOp::create(b, loc, x, y); };
  // Whether token `next`, by so many behind `token`, goes on with what that begins.
  auto follows = [&](Value token, Value next) {
    Value position = entry("positions", next), by = arith::SubIOp::create(b, loc, next, token);
    Value inSlot = compare(arith::CmpIPredicate::eq, entry("slots", token), entry("slots", next));
    Value inOrder = compare(arith::CmpIPredicate::eq, arith::AddIOp::create(b, loc, entry("positions", token), by), position);
    Value inBlock = compare(arith::CmpIPredicate::ne, arith::RemUIOp::create(b, loc, position, i64(count)), i64(0));
    return both(both(inSlot, inOrder), inBlock);
  };
  parallel(arith::MulIOp::create(b, loc, rowCount(Rows::Tokens), i64(groups)), [&](Value tile) {
    Value token = arith::DivUIOp::create(b, loc, tile, i64(groups)), ofGroup = arith::RemUIOp::create(b, loc, tile, i64(groups));
    Value before = arith::MaxSIOp::create(b, loc, arith::SubIOp::create(b, loc, token, i64(1)), i64(0));
    Value isInner = both(compare(arith::CmpIPredicate::ne, before, token), follows(before, token));
    auto begins = scf::IfOp::create(b, loc, compare(arith::CmpIPredicate::eq, isInner, arith::ConstantIntOp::create(b, loc, b.getI1Type(), 0)));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(begins.thenBlock());
    Value most = arith::MinSIOp::create(b, loc, arith::SubIOp::create(b, loc, rowCount(Rows::Tokens), token), i64(count));
    auto loop = scf::ForOp::create(b, loc, i64(1), most, i64(1), ValueRange{i64(1)}, [&](OpBuilder &, Location, Value by, ValueRange carried) {
      Value next = arith::AddIOp::create(b, loc, token, by), all = compare(arith::CmpIPredicate::eq, carried[0], by);
      Value more = arith::ExtUIOp::create(b, loc, b.getI64Type(), both(all, follows(token, next)));
      scf::YieldOp::create(b, loc, ValueRange{arith::AddIOp::create(b, loc, carried[0], more)});
    });
    auto from = [&](StringRef array) -> Value { return tile::RowOp::create(b, loc, pointerType(), field(array), token, 4, 0); };
    SmallVector<Value> operands{ofGroup, loop.getResult(0), from("positions"), from("slots"), rowPointer(q, token)};
    for (int64_t slot : {0, 1})
      operands.push_back(tile::StateOp::create(b, loc, pointerType(), step, state.getSymNameAttr(), index, i64(slot)));
    operands.append({rowPointer(out, token), scratch(tile::kAlignment)});
    if (op.getSinks())
      operands.push_back(vectorWeight(op.getSinks()));
    call("attend", kernel, operands);
  });
}

void StepBuilder::attendRuns(AttentionOp op, KVCacheType cache, const Stored &q, const Stored &out) {
  // Of a group; of a tile: enough that rounding keys and values costs little beside.
  constexpr int64_t kMostHeads = 16, kRows = 48;
  int64_t headDim = cache.getHeadDim(), heads = q.channels / headDim, kvHeads = cache.getKvHeads(), group = decisions.groupHeads ? heads / kvHeads : 1;
  for (int64_t shared = group, cuts = 2; group > kMostHeads; ++cuts)
    if (shared % cuts == 0)
      group = shared / cuts;
  bool isDevice = machine().isDevice();
  if (isDevice)
    group = kernels::blockAttendGroup(cache.getElement(), headDim, heads / kvHeads, machine());
  auto state = module.lookupSymbol<StateOp>(op.getStateAttr());
  Value index = state.getLayers() ? lookup(layerTable(*state.getLayers()), layerIndex) : layerIndex;
  int64_t groups = heads / group, count = maxTokens == 1 ? 1 : std::max<int64_t>(1, kRows / group);
  // Few tiles of one token would leave workers idle; a device has hundreds.
  bool split = decisions.splitPositions && (isDevice || groups < kEnoughTiles), partial = split && maxTokens == 1, sinks = static_cast<bool>(op.getSinks());
  double scale = op.getScale().convertToDouble(), softcap = op.getSoftcap().convertToDouble();
  auto kernel = tile::AttendRunsAttr::get(b.getContext(), heads, kvHeads, headDim, cache.getElement(), scale, op.getWindow(), softcap, sinks, group, count, q.rowBytes,
                                          out.rowBytes, split, partial, static_cast<bool>(op.getSlopes()));
  int64_t partBytes = kernels::attendPartBytes(headDim);
  Value parts = partial ? memory((16 * heads + 1) * partBytes, "attention_parts") : Value();
  Value tiles = arith::DivUIOp::create(b, loc, arith::AddIOp::create(b, loc, rowCount(Rows::Tokens), i64(count - 1)), i64(count));
  auto position = [&](Value token) -> Value { return tile::EntryOp::create(b, loc, b.getI64Type(), field("positions"), token); };
  if (partial) {
    Value units = arith::AddIOp::create(b, loc, arith::DivUIOp::create(b, loc, position(i64(0)), i64(256)), i64(1));
    tiles = arith::MinUIOp::create(b, loc, units, i64(16));
  }
  parallel(arith::MulIOp::create(b, loc, tiles, i64(groups)), [&](Value tile) {
    SmallVector<Value> operands{tile, rowCount(Rows::Tokens), field("positions"), field("slots"), rowPointer(q, i64(0))};
    for (int64_t slot : {0, 1})
      operands.push_back(tile::StateOp::create(b, loc, pointerType(), step, state.getSymNameAttr(), index, i64(slot)));
    operands.append({partial ? parts : rowPointer(out, i64(0)), scratch(isDevice ? 0 : kernels::attendScratchBytes(kernel))});
    if (sinks && !partial)
      operands.push_back(vectorWeight(op.getSinks()));
    if (op.getSlopes())
      operands.push_back(vectorWeight(op.getSlopes()));
    call("attend", kernel, operands);
  });
  if (!partial)
    return;
  auto merge = tile::MergePartsAttr::get(b.getContext(), heads, headDim, scale, softcap, sinks);
  rowOp(Rows::Tokens, [&](Value token) {
    SmallVector<Value> operands{position(token), parts, rowPointer(out, token)};
    if (sinks)
      operands.push_back(vectorWeight(op.getSinks()));
    call("merge_parts", merge, operands);
  });
}

// As attention; the queries of a token, and its latent as the last of its heads, are made in one loop.
void StepBuilder::latentAttention(LatentAttentionOp op) {
  auto state = module.lookupSymbol<StateOp>(op.getStateAttr());
  auto cache = cast<KVCacheType>(state.getType());
  int64_t latent = cache.getValueDim(), rowSize = cache.getHeadDim();
  Stored q = stored(op.getQ()), qLatent = stored(op.getQLatent()), table = stored(op.getTable()), kv = ownCopy(op.getKv(), "kv");
  int64_t heads = qLatent.channels / latent;
  Stored queries = buffer(heads * rowSize, Rows::Tokens, "queries"), out = destination(op.getY(), Rows::Tokens, "latent_attention");
  closeRows();
  Value index = state.getLayers() ? lookup(layerTable(*state.getLayers()), layerIndex) : layerIndex;
  auto entry = [&](StringRef name, Value token) -> Value { return tile::EntryOp::create(b, loc, b.getI64Type(), field(name), token); };
  auto slotCache = [&](Value token) -> Value {
    return tile::StateOp::create(b, loc, pointerType(), step, state.getSymNameAttr(), index, entry("slots", token));
  };
  // `body(token, head)` for each of `perToken` heads.
  auto eachHead = [&](int64_t perToken, auto body) {
    Value count = i64(perToken);
    parallel(arith::MulIOp::create(b, loc, rowCount(Rows::Tokens), count), [&](Value tile) {
      body(arith::DivUIOp::create(b, loc, tile, count).getResult(), arith::RemUIOp::create(b, loc, tile, count).getResult());
    });
  };
  auto prepare = tile::LatentPrepareAttr::get(b.getContext(), heads, latent, q.channels / heads, cache.getElement(), op.getRotary(), op.getNorm(),
                                              preparedHeads());
  eachHead((heads + preparedHeads()) / preparedHeads(), [&](Value token, Value head) {
    call("latent_prepare", prepare, {head, entry("positions", token), rowPointer(q, token), rowPointer(qLatent, token), rowPointer(kv, token),
                                     vectorWeight(op.getGain()), rowPointer(table, token), slotCache(token), rowPointer(queries, token)});
  });
  auto attend = tile::LatentAttendAttr::get(b.getContext(), heads, latent, rowSize - latent, cache.getElement(), op.getScale().convertToDouble());
  eachHead(heads, [&](Value token, Value head) {
    call("latent_attend", attend, {head, entry("positions", token), rowPointer(queries, token), slotCache(token), rowPointer(out, token),
                                   scratch((64 + latent) * 4)});
  });
}
