// Choosing the panels of a row that hold its best results, by their keys.
//
// keys: (panels), padded to whole blocks; scratch: the greatest key of each block; out: (count). Each choice looks through the greatest of the
// blocks and through one block, and takes the chosen key away.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

struct BestPanels {
  KernelBuilder &b;
  int64_t panels, blocks;
  Value count, keys, greatest, out;

  BestPanels(KernelBuilder &b, tile::BestPanelsAttr kernel)
      : b(b), panels(tile::panelCount(kernel.getOutputs())), blocks(tile::keyBlocks(kernel.getOutputs())), count(b.argument(0)),
        keys(b.argument(1)), greatest(b.argument(2)), out(b.argument(3)) {}

  static constexpr int64_t paddedTo(int64_t count) { return tile::alignTo(count, kLanes); }
  Value word(int64_t value) { return b.constant(b.getI32Type(), value); }
  Value blockAt(Value block) { return b.at(keys, block, tile::kKeyBlock * 4); }

  void fill(Value from, int64_t first, int64_t end) {
    if (first < end)
      b.loop(b.constant(first), b.constant(end), 1, [&](Value index) { b.store(word(tile::kGoneKey), floatAt(b, from, index), 4); });
  }

  // The greatest of `count` keys, a multiple of 16.
  Value greatestOf(Value from, int64_t count) {
    VectorType words = b.words(kLanes);
    Values best = b.loop(b.constant(0), b.constant(count), kLanes, ValueRange{b.constant(words, tile::kGoneKey)}, [&](Value index, ValueRange carried) {
      return Values{arith::MaxSIOp::create(b, carried[0], b.load(words, floatAt(b, from, index), 4))};
    });
    return vector::ReductionOp::create(b, vector::CombiningKind::MAXSI, best[0]);
  }

  // The place of the first of `count` keys that is the greatest of them.
  Value firstGreatest(Value from, int64_t count) {
    VectorType words = b.words(kLanes);
    Value wanted = b.broadcast(greatestOf(from, count), words), none = b.constant(words, INT32_MAX);
    SmallVector<int32_t> numbers = llvm::to_vector(llvm::seq<int32_t>(0, kLanes));
    Value lanes = arith::ConstantOp::create(b, DenseElementsAttr::get(words, ArrayRef<int32_t>(numbers)));
    Values first = b.loop(b.constant(0), b.constant(count), kLanes, ValueRange{none}, [&](Value index, ValueRange carried) {
      Value is = b.compare(arith::CmpIPredicate::eq, b.load(words, floatAt(b, from, index), 4), wanted);
      Value places = b.add(b.broadcast(b.truncate(index, b.getI32Type()), words), lanes);
      return Values{b.minimum(carried[0], b.select(is, places, none))};
    });
    return b.extendSigned(vector::ReductionOp::create(b, vector::CombiningKind::MINSI, first[0]), b.getI64Type());
  }

  void noteGreatest(Value block) { b.store(greatestOf(blockAt(block), tile::kKeyBlock), floatAt(b, greatest, block), 4); }

  void emit() {
    fill(keys, panels, blocks * tile::kKeyBlock);
    fill(greatest, blocks, paddedTo(blocks));
    b.loop(b.constant(0), b.constant(blocks), 1, [&](Value block) { noteGreatest(block); });
    b.loop(b.constant(0), count, 1, [&](Value number) {
      Value block = firstGreatest(greatest, paddedTo(blocks));
      Value place = firstGreatest(blockAt(block), tile::kKeyBlock);
      b.store(word(tile::kGoneKey), floatAt(b, blockAt(block), place), 4);
      Value panel = b.add(b.mul(block, b.constant(tile::kKeyBlock)), place);
      b.store(b.truncate(panel, b.getI32Type()), floatAt(b, out, number), 4);
      noteGreatest(block);
    });
  }
};

} // namespace

void emitBestPanels(KernelBuilder &b, tile::BestPanelsAttr kernel) { BestPanels(b, kernel).emit(); }

} // namespace llmc::kernels
