// --tile-profile: see Passes.td.
#include "dialects/tile/Tables.h"
#include "passes/schedule/Passes.h"
#include "runtime/artifact/Artifact.h"

#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/SetVector.h"

namespace llmc {
#define GEN_PASS_DEF_TILEPROFILE
#include "passes/schedule/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;

namespace {

// What one loop works on: read off its kernels, weights and states.
struct Site {
  llvm::SetVector<StringRef> kernels, weights, states;
  double weightBytes = 0, rowBytes = 0;
  int64_t appendBytes = 0, positionBytes = 0, fixedBytes = 0, window = 0;

  std::string name() const {
    std::string text;
    for (const auto *names : {&kernels, &weights, &states})
      for (StringRef each : *names)
        text += (text.empty() ? "" : names == &kernels ? "+" : " @") + each.str();
    return text.empty() ? "loop" : text;
  }
};

double meanLayerBytes(llm::WeightOp weight) {
  double sum = 0;
  int64_t layers = weight.getWeights().getLayers();
  for (int64_t layer = 0; layer < layers; ++layer)
    sum += static_cast<double>(tile::packedWeightBytes(weight, layer));
  return sum / static_cast<double>(layers);
}

struct Profile : llmc::impl::TileProfileBase<Profile> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttr("llm.max_tokens") && !function.isExternal())
        instrument(function);
  }

  void instrument(func::FuncOp function) {
    SmallVector<tile::BarrierOp> barriers;
    function.walk([&](tile::BarrierOp barrier) { barriers.push_back(barrier); });
    Value step = function.getArgument(0), worker = function.getArgument(1);
    OpBuilder b(&getContext());
    b.setInsertionPointToStart(&function.front());
    tile::MarkOp::create(b, function.getLoc(), step, worker, 0, LLMC_PROFILE_BEGIN);
    SmallVector<Attribute> described;
    for (auto [number, barrier] : llvm::enumerate(barriers)) {
      b.setInsertionPoint(barrier);
      tile::MarkOp::create(b, barrier.getLoc(), step, worker, number, LLMC_PROFILE_WORKED);
      b.setInsertionPointAfter(barrier);
      tile::MarkOp::create(b, barrier.getLoc(), step, worker, number, LLMC_PROFILE_PASSED);
      described.push_back(describe(barrier));
    }
    function->setAttr("tile.sites", b.getArrayAttr(described));
    sites += barriers.size();
  }

  // The loop before a barrier is the op before it, but for the mark.
  DictionaryAttr describe(tile::BarrierOp barrier) {
    Site site;
    Operation *loop = barrier->getPrevNode();
    while (loop && loop->getNumRegions() == 0)
      loop = loop->getPrevNode();
    if (loop)
      look(loop, site);
    Builder b(&getContext());
    NamedAttrList list;
    list.append("name", b.getStringAttr(site.name()));
    auto number = [&](StringRef name, int64_t value) {
      if (value)
        list.append(name, b.getI64IntegerAttr(value));
    };
    number("weight_bytes", std::llround(site.weightBytes));
    number("row_bytes", std::llround(site.rowBytes));
    number("append_bytes", site.appendBytes);
    number("position_bytes", site.positionBytes);
    number("window", site.window);
    number("fixed_bytes", site.fixedBytes);
    return list.getDictionary(&getContext());
  }

  void look(Operation *loop, Site &site) {
    bool attends = false, looksUp = false;
    double share = 1;
    loop->walk([&](func::CallOp call) {
      auto kernel = getOperation().lookupSymbol<func::FuncOp>(call.getCallee());
      Attribute does = kernel ? kernel->getAttr("tile.kernel") : Attribute();
      if (!does)
        return;
      site.kernels.insert(mnemonic(does));
      looksUp |= isa<tile::DecodeRowAttr>(does);
      if (auto attend = dyn_cast<tile::AttendAttr>(does)) {
        attends = true;
        site.window = attend.getWindow();
      }
      if (auto part = kernel->getAttrOfType<FloatAttr>("tile.weight_share"))
        share = part.getValueAsDouble();
    });
    SetVector<llm::WeightOp> read; // once, though several branches of the loop read it
    loop->walk([&](tile::WeightOp op) { read.insert(getOperation().lookupSymbol<llm::WeightOp>(op.getWeight())); });
    for (llm::WeightOp weight : read) {
      site.weights.insert(weight.getSymName());
      ArrayRef<int64_t> shape = weight.getWeights().getShape();
      if (looksUp && shape.size() == 2)
        site.rowBytes += meanLayerBytes(weight) / static_cast<double>(shape[0]);
      else
        site.weightBytes += meanLayerBytes(weight) * share;
    }
    SetVector<llm::StateOp> held;
    loop->walk([&](tile::StateOp op) { held.insert(getOperation().lookupSymbol<llm::StateOp>(op.getState())); });
    for (llm::StateOp state : held) {
      auto type = cast<llm::StateTypeInterface>(state.getType());
      site.states.insert(state.getSymName());
      (attends ? site.positionBytes : site.appendBytes) += type.getPositionBytes();
      site.fixedBytes += 2 * type.getFixedBytes();
    }
  }

  // "linear" of #tile.linear<…>: as it is printed, so that kernels of others have names too.
  StringRef mnemonic(Attribute kernel) {
    StringRef name = kernel.getAbstractAttribute().getName();
    name.consume_front("tile.");
    return name;
  }
};

} // namespace
