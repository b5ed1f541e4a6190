// --tile-plan-memory: see Passes.td.
#include "passes/schedule/Passes.h"

namespace llmc {
#define GEN_PASS_DEF_TILEPLANMEMORY
#include "passes/schedule/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;

namespace {

// Times at which a buffer is first and last touched. Time moves by one at each parallel loop.
struct Life {
  tile::BufferOp buffer;
  int64_t begin = 0, end = 0;
};

struct PlanMemory : llmc::impl::TilePlanMemoryBase<PlanMemory> {
  using TilePlanMemoryBase::TilePlanMemoryBase;

  DenseMap<Operation *, std::pair<int64_t, int64_t>> spans; // of every op with regions, and of the others
  int64_t now = 0;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (!function->hasAttr("llm.max_tokens") || function.isExternal())
      return;
    spans.clear();
    now = 0;
    number(function.getBody());
    SmallVector<Life> lives;
    function.walk([&](tile::BufferOp buffer) { lives.push_back(lifeOf(buffer)); });
    Builder builder(function.getContext());
    int64_t total = place(lives, builder);
    arenaBytes += total;
    function->setAttr("tile.arena_bytes", builder.getI64IntegerAttr(total));
    int64_t scratch = 0;
    function.walk([&](tile::ScratchOp op) { scratch = std::max<int64_t>(scratch, op.getBytes()); });
    function->setAttr("tile.scratch_bytes", builder.getI64IntegerAttr(scratch));
  }

  void number(Region &region) {
    for (Block &block : region)
      for (Operation &op : block) {
        int64_t begin = now;
        if (isa<scf::ForallOp>(op))
          ++now;
        else
          for (Region &inner : op.getRegions())
            number(inner);
        spans[&op] = {begin, now};
      }
  }

  // A buffer declared outside a loop over layers and used inside lives for the whole of that loop.
  Life lifeOf(tile::BufferOp buffer) {
    Life life{buffer, INT64_MAX, 0};
    Block *home = buffer->getBlock();
    SmallVector<Operation *> users(buffer->getUsers());
    while (!users.empty()) {
      Operation *user = users.pop_back_val(), *top = home->findAncestorOpInBlock(*user);
      auto [begin, end] = spans[top];
      life.begin = std::min(life.begin, begin);
      life.end = std::max(life.end, std::max(end, begin + 1));
      if (isa<tile::RowOp>(user)) // an address in the buffer
        llvm::append_range(users, user->getUsers());
    }
    return life;
  }

  // First fit, longest lives first where they begin together; what lives in a loop lies above what lives around it by the same rule.
  int64_t place(SmallVectorImpl<Life> &lives, Builder &builder) {
    llvm::stable_sort(lives, [](Life a, Life b) { return a.buffer.getBytes() > b.buffer.getBytes(); });
    SmallVector<Life *> placed;
    int64_t total = 0;
    for (Life &life : lives) {
      bufferBytes += life.buffer.getBytes();
      int64_t offset = firstFit(life, placed);
      life.buffer.setOffset(offset);
      placed.push_back(&life);
      total = std::max<int64_t>(total, offset + life.buffer.getBytes());
    }
    return total;
  }

  int64_t firstFit(Life life, ArrayRef<Life *> placed) {
    SmallVector<std::pair<int64_t, int64_t>> taken;
    for (Life *other : placed)
      if (!share || (other->begin < life.end && life.begin < other->end))
        taken.push_back({*other->buffer.getOffset(), *other->buffer.getOffset() + other->buffer.getBytes()});
    llvm::sort(taken);
    int64_t offset = 0;
    for (auto [begin, end] : taken) {
      if (offset + static_cast<int64_t>(life.buffer.getBytes()) <= begin)
        break;
      offset = std::max(offset, end);
    }
    return offset;
  }
};

} // namespace
