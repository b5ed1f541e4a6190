// Appending to caches, by a block: a warp has a head of the token, and works on its row where it lies.
#include "passes/lowering/kernels/CacheBlock.h"
#include "passes/lowering/kernels/RowMath.h"
#include "passes/lowering/kernels/block/BlockKernels.h"
#include "passes/lowering/kernels/block/BlockRows.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

// Each warp's heads [tile * group, (tile + 1) * group) of `all`.
void forHeadsOfWarp(BlockBuilder &b, Value tile, int64_t group, int64_t all, llvm::function_ref<void(Value head)> body) {
  Value first = b.mul(tile, b.constant(group)), end = b.minimum(b.add(first, b.constant(group)), b.constant(all)), own = b.add(first, b.warp());
  if (group > b.warps())
    return b.loop(own, end, b.warps(), body);
  b.onlyIf(b.compare(arith::CmpIPredicate::slt, own, end), [&] { body(own); });
}

void eitherOr(BlockBuilder &b, Value condition, llvm::function_ref<void()> yes, llvm::function_ref<void()> no) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenYield());
  yes();
  b.setInsertionPoint(branch.elseYield());
  no();
}

void storeElement(BlockBuilder &b, Value number, Type element, Value to) {
  if (element.isF16())
    number = arith::TruncFOp::create(b, element, number);
  b.store(number, to, element.getIntOrFloatBitWidth() / 8);
}

Value loadNumber(BlockBuilder &b, Value row, Value index) { return b.load(b.getF32Type(), floatAt(b, row, index), 4); }

// What a warp appends of a head: keys and values of one position, f32 at `key` and `value`, to place `place` of a block.
struct Append {
  BlockBuilder &b;
  CacheShape cache;
  Value block, place, key, value;

  void emit() { cache.isQ8() ? appendGroups() : appendFloats(); }

private:
  Value values() { return b.at(block, cache.sideBytes()); }

  void appendFloats() {
    int64_t bytes = cache.elementBytes();
    Value toKeys = b.at(block, place, bytes), toValues = b.at(values(), place, cache.rowBytes());
    b.eachLane(b.constant(cache.headDim), 1, [&](Value channel) {
      Value number = loadNumber(b, value, channel);
      storeElement(b, cache.element.isF16() ? finiteHalf(b, number) : number, cache.element, b.at(toValues, channel, bytes));
      storeElement(b, loadNumber(b, key, channel), cache.element, b.at(toKeys, channel, kCacheBlock * bytes));
    });
  }

  // A lane has a channel of each group; those of a last, narrower one fill its quads up with zeros.
  void appendGroups() {
    static_assert(llm::kCacheGroup == kWarp);
    Value keys = b.at(block, place, 4), pairs = b.at(b.at(values(), b.shiftRight(place, 1), 2 * cache.channels()), b.bitAnd(place, 1), 1);
    for (int64_t group = 0; group < cache.groups(); ++group) {
      int64_t first = group * kWarp, channels = std::min(kWarp, cache.headDim - first), places = tile::alignTo(channels, 4);
      Value quad = b.at(keys, b.shiftRight(b.lane(), 2), kQuadBytes, group * kWarp / 4 * kQuadBytes);
      Value ofKey = arith::XOrIOp::create(b, rounded(key, block, group, channels), b.constant(b.getI8Type(), 0x80));
      ofKey = b.select(isBelow(channels), ofKey, b.constant(b.getI8Type(), 0));
      b.onlyIf(isBelow(places), [&] { b.store(ofKey, b.at(quad, b.bitAnd(b.lane(), 3), 1), 1); });
      Value ofValue = rounded(value, values(), group, channels);
      b.onlyIf(isBelow(channels), [&] { b.store(ofValue, b.at(pairs, b.lane(), 2, first * 2), 1); });
    }
  }

  Value isBelow(int64_t count) { return b.compare(arith::CmpIPredicate::slt, b.lane(), b.constant(count)); }

  // The lane's byte of a group, whose scale goes to its place beside `side`.
  Value rounded(Value row, Value side, int64_t group, int64_t channels) {
    Value channel = b.minimum(b.lane(), b.constant(channels - 1)), x = loadNumber(b, b.at(row, group * kWarp * 4), channel);
    Value biggest = b.bitcast(b.maximumOfWarp(b.bitAnd(b.bitcast(x, b.getI32Type()), 0x7fffffff)), b.getF32Type());
    Value half = arith::TruncFOp::create(b, b.getF16Type(), wantedScale(b, biggest));
    b.onlyIf(isBelow(1), [&] { b.store(half, b.at(cache.scales(b, side, b.constant(group)), place, 2), 2); });
    Value inverse = inverseScale(b, arith::ExtFOp::create(b, b.getF32Type(), half));
    return b.truncate(limitedWords(b, b.mul(x, inverse)), b.getI8Type());
  }
};

// Arguments as emitPrepare.
void emitBlockPrepare(BlockBuilder &b, tile::PrepareAttr kernel) {
  int64_t headDim = kernel.getHeadDim(), heads = kernel.getHeads();
  Value position = b.argument(1), q = b.global(b.argument(2)), k = b.global(b.argument(3)), v = b.global(b.argument(4));
  unsigned next = 6;
  Value table = kernel.getRotary() ? b.global(b.argument(next++)) : Value();
  Value qGain = kernel.getNorm() ? b.global(b.argument(next++)) : Value(), kGain = kernel.getNorm() ? b.global(b.argument(next++)) : Value();
  auto turn = [&](Value row, Value gain) {
    if (gain)
      normaliseByWarp(b, headDim, kernel.getNorm(), row, gain, row);
    if (table)
      rotateByWarp(b, kernel.getRotary(), row, table, row);
  };
  CacheShape cache{kernel.getElement(), kernel.getKvHeads(), headDim};
  forHeadsOfWarp(b, b.argument(0), kernel.getGroup(), heads + kernel.getKvHeads(), [&](Value head) {
    eitherOr(b, b.compare(arith::CmpIPredicate::slt, head, b.constant(heads)), [&] { turn(b.at(q, head, headDim * 4), qGain); }, [&] {
      Value kvHead = b.sub(head, b.constant(heads)), key = b.at(k, kvHead, headDim * 4);
      turn(key, kGain);
      Value block = cache.block(b, b.global(b.argument(5)), b.shiftRight(position, 4), kvHead);
      Append{b, cache, block, b.bitAnd(position, kCacheBlock - 1), key, b.at(v, kvHead, headDim * 4)}.emit();
    });
  });
}

// Arguments as emitLatentPrepare.
void emitBlockLatentPrepare(BlockBuilder &b, tile::LatentPrepareAttr kernel) {
  Value kv = b.global(b.argument(4)), table = b.global(b.argument(6));
  int64_t latent = kernel.getLatent(), turned = kernel.getRotary().getDim(), row = latent + turned, bytes = kernel.getElement().getIntOrFloatBitWidth() / 8;
  auto query = [&](Value head) {
    Value from = b.at(b.global(b.argument(3)), head, latent * 4), to = b.at(b.global(b.argument(8)), head, row * 4);
    b.eachLane(b.constant(latent), 1, [&](Value channel) { b.store(loadNumber(b, from, channel), floatAt(b, to, channel), 4); });
    Value last = b.at(b.global(b.argument(2)), head, kernel.getQuery() * 4, (kernel.getQuery() - turned) * 4);
    rotateByWarp(b, kernel.getRotary(), last, table, b.at(to, latent * 4));
  };
  auto append = [&] {
    normaliseByWarp(b, latent, kernel.getNorm(), kv, b.global(b.argument(5)), kv);
    rotateByWarp(b, kernel.getRotary(), b.at(kv, latent * 4), table, b.at(kv, latent * 4));
    Value to = b.at(b.global(b.argument(7)), b.argument(1), row * bytes);
    b.eachLane(b.constant(row), 1, [&](Value channel) { storeElement(b, loadNumber(b, kv, channel), kernel.getElement(), b.at(to, channel, bytes)); });
  };
  forHeadsOfWarp(b, b.argument(0), kernel.getGroup(), kernel.getHeads() + 1, [&](Value head) {
    eitherOr(b, b.compare(arith::CmpIPredicate::slt, head, b.constant(kernel.getHeads())), [&] { query(head); }, append);
  });
}

} // namespace

ArrayRef<BlockKind> blockCacheKinds() {
  static const BlockKind kinds[] = {blockKind<tile::PrepareAttr, emitBlockPrepare>(), blockKind<tile::LatentPrepareAttr, emitBlockLatentPrepare>()};
  return kinds;
}

} // namespace llmc::kernels
