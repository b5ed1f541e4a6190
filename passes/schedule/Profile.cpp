// --tile-profile: see Passes.td.
#include "dialects/tile/Tables.h"
#include "passes/schedule/Passes.h"
#include "runtime/artifact/Artifact.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
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
  tile::KernelWork work; // of all its kernels
  int64_t heaviest = 0;  // operations of the kernel that gave the arithmetic
  bool wanted = false;   // its rows are those whose logits are wanted
  int64_t matrices = 0, choices = 0; // not 0: nobody counts, and each row goes through so many of a stack's matrices
  int64_t weightCalls = 0, weightCounter = 0; // not 0: its calls are counted, so many would read all of its weights

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
  SmallVector<Attribute> tables; // of counters, of the function at hand

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttr("llm.max_tokens") && !function.isExternal())
        isOnDevice() ? describeLoops(function) : instrument(function);
  }

  bool isOnDevice() {
    auto target = getOperation()->getAttrOfType<tile::TargetAttr>("tile.target");
    return target && target.isDevice();
  }

  // Before the loops become functions of their own, in the order in which those are numbered; whoever launches them times them.
  void describeLoops(func::FuncOp function) {
    SmallVector<Attribute> described;
    function.walk([&](scf::ForallOp loop) {
      Site site;
      look(loop, site);
      described.push_back(descriptionOf(site));
    });
    function->setAttr("tile.sites", ArrayAttr::get(&getContext(), described));
    sites += described.size();
  }

  void instrument(func::FuncOp function) {
    SmallVector<tile::BarrierOp> barriers;
    function.walk([&](tile::BarrierOp barrier) { barriers.push_back(barrier); });
    Value step = function.getArgument(0), worker = function.getArgument(1);
    OpBuilder b(&getContext());
    b.setInsertionPointToStart(&function.front());
    tile::MarkOp::create(b, function.getLoc(), step, worker, 0, LLMC_PROFILE_BEGIN);
    countExperts(function);
    SmallVector<Attribute> described;
    for (auto [number, barrier] : llvm::enumerate(barriers)) {
      b.setInsertionPoint(barrier);
      tile::MarkOp::create(b, barrier.getLoc(), step, worker, number, LLMC_PROFILE_WORKED);
      b.setInsertionPointAfter(barrier);
      tile::MarkOp::create(b, barrier.getLoc(), step, worker, number, LLMC_PROFILE_PASSED);
      described.push_back(describe(barrier));
    }
    function->setAttr("tile.sites", b.getArrayAttr(described));
    if (!tables.empty())
      function->setAttr("tile.counters", b.getArrayAttr(tables));
    sites += barriers.size();
    counters += tables.size();
  }

  // Each row that is routed counts its choices, whatever the step does with them afterwards: one token or many, in any order.
  void countExperts(func::FuncOp function) {
    SmallVector<std::pair<func::CallOp, tile::RouteAttr>> routes;
    function.walk([&](func::CallOp call) {
      if (auto route = dyn_cast_or_null<tile::RouteAttr>(kernelOf(call)))
        routes.push_back({call, route});
    });
    tables.clear();
    for (auto [call, route] : routes)
      tables.push_back(countChoices(call, route, function.getArgument(0), static_cast<int64_t>(tables.size())));
  }

  // Calls of a loop that reads only some of its weights are counted where they are made.
  void countCalls(ArrayRef<func::CallOp> calls, Site &site) {
    site.weightCounter = static_cast<int64_t>(tables.size());
    for (func::CallOp call : calls) {
      OpBuilder b(call);
      b.setInsertionPointAfter(call);
      Value zero = arith::ConstantIntOp::create(b, call.getLoc(), 0, 64), one = arith::ConstantIntOp::create(b, call.getLoc(), 1, 64);
      Value step = call->getParentOfType<func::FuncOp>().getArgument(0);
      tile::CountOp::create(b, call.getLoc(), step, site.weightCounter, zero, one);
      site.weightCalls = call->getAttrOfType<IntegerAttr>("tile.calls").getInt();
    }
    Builder b(&getContext());
    tables.push_back(b.getDictionaryAttr({b.getNamedAttr("name", b.getStringAttr("calls")), b.getNamedAttr("rows", b.getI64IntegerAttr(1))}));
  }

  static void estimateCalls(func::CallOp call, Site &site) {
    auto matrices = call->getAttrOfType<IntegerAttr>("tile.matrices"), choices = call->getAttrOfType<IntegerAttr>("tile.choices");
    if (matrices && choices)
      site.matrices = matrices.getInt(), site.choices = choices.getInt();
  }

  // After a call of a router: rows [layer * count, (layer + 1) * count) of the table are the experts of a layer. Layers that take
  // another branch of the loop keep zeros.
  DictionaryAttr countChoices(func::CallOp call, tile::RouteAttr route, Value step, int64_t table) {
    OpBuilder b(&getContext());
    Location loc = call.getLoc();
    b.setInsertionPointAfter(call);
    auto i64 = [&](int64_t value) -> Value { return arith::ConstantIntOp::create(b, loc, value, 64); };
    auto [layer, layers] = layerOf(call);
    Value experts = call.getOperand(call.getNumOperands() - 2);
    Value first = layer ? arith::MulIOp::create(b, loc, layer, i64(route.getCount())).getResult() : i64(0);
    auto choices = scf::ForOp::create(b, loc, i64(0), i64(route.getTop()), i64(1));
    b.setInsertionPointToStart(choices.getBody());
    Value expert = tile::EntryOp::create(b, loc, b.getI64Type(), experts, choices.getInductionVar());
    tile::CountOp::create(b, loc, step, table, arith::AddIOp::create(b, loc, first, expert), i64(1));
    NamedAttrList list;
    list.append("name", b.getStringAttr("experts"));
    list.append("rows", b.getI64IntegerAttr(layers * route.getCount()));
    list.append("layer_rows", b.getI64IntegerAttr(route.getCount()));
    return list.getDictionary(&getContext());
  }

  // The number of the layer that a call runs for (null outside of a loop over layers), and how many there are. A loop over layers
  // is one around a loop over tiles; those within belong to the tile.
  std::pair<Value, int64_t> layerOf(func::CallOp call) {
    Operation *tiles = call->getParentOfType<scf::WhileOp>();
    auto loop = tiles ? tiles->getParentOfType<scf::ForOp>() : scf::ForOp();
    std::optional<int64_t> layers = loop ? getConstantIntValue(loop.getUpperBound()) : std::nullopt;
    return layers ? std::pair<Value, int64_t>(loop.getInductionVar(), *layers) : std::pair<Value, int64_t>(Value(), 1);
  }

  // The loop before a barrier is the op before it, but for the mark.
  DictionaryAttr describe(tile::BarrierOp barrier) {
    Site site;
    Operation *loop = barrier->getPrevNode();
    while (loop && loop->getNumRegions() == 0)
      loop = loop->getPrevNode();
    if (loop)
      look(loop, site);
    return descriptionOf(site);
  }

  DictionaryAttr descriptionOf(const Site &site) {
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
    number("row_operations", site.work.rowOperations);
    number("position_operations", site.work.positionOperations);
    if (site.heaviest)
      list.append("arithmetic", b.getStringAttr(site.work.arithmetic));
    number("wanted", site.wanted);
    number("matrices", site.matrices);
    number("choices", site.choices);
    number("weight_calls", site.weightCalls);
    if (site.weightCalls)
      list.append("weight_counter", b.getI64IntegerAttr(site.weightCounter));
    return list.getDictionary(&getContext());
  }

  void look(Operation *loop, Site &site) {
    bool attends = false, looksUp = false;
    SmallVector<func::CallOp> partial;
    site.wanted = isOfWantedRows(loop);
    loop->walk([&](func::CallOp call) {
      Attribute does = kernelOf(call);
      if (!does)
        return;
      site.kernels.insert(mnemonic(does));
      looksUp |= isa<tile::DecodeRowAttr>(does);
      auto attend = dyn_cast<tile::AttendAttr>(does);
      auto attendRuns = dyn_cast<tile::AttendRunsAttr>(does);
      if (attend || attendRuns) {
        attends = true;
        site.window = attend ? attend.getWindow() : attendRuns.getWindow();
      }
      addWork(call, does, site);
      if (call->hasAttr("tile.calls"))
        partial.push_back(call);
    });
    if (!partial.empty())
      isOnDevice() ? estimateCalls(partial.front(), site) : countCalls(partial, site);
    SetVector<llm::WeightOp> read; // once, though several branches of the loop read it
    loop->walk([&](tile::WeightOp op) { read.insert(getOperation().lookupSymbol<llm::WeightOp>(op.getWeight())); });
    for (llm::WeightOp weight : read) {
      site.weights.insert(weight.getSymName());
      ArrayRef<int64_t> shape = weight.getWeights().getShape();
      if (looksUp && shape.size() == 2)
        site.rowBytes += meanLayerBytes(weight) / static_cast<double>(shape[0]);
      else
        site.weightBytes += meanLayerBytes(weight);
    }
    for (llm::StateOp state : statesOf(loop)) {
      auto type = cast<llm::StateTypeInterface>(state.getType());
      site.states.insert(state.getSymName());
      (attends ? site.positionBytes : site.appendBytes) += type.getPositionBytes();
      site.fixedBytes += 2 * type.getFixedBytes();
    }
  }

  // States that a loop works on, wherever their addresses are computed.
  SetVector<llm::StateOp> statesOf(Operation *loop) {
    SetVector<Operation *> sources; // of what the loop computes
    loop->walk([&](Operation *op) { sources.insert(op); });
    SetVector<llm::StateOp> states;
    for (size_t i = 0; i < sources.size(); ++i) {
      if (auto state = dyn_cast<tile::StateOp>(sources[i]))
        states.insert(getOperation().lookupSymbol<llm::StateOp>(state.getState()));
      for (Value operand : sources[i]->getOperands())
        if (Operation *source = operand.getDefiningOp(); source && source->getNumRegions() == 0)
          sources.insert(source);
    }
    return states;
  }

  static void addWork(func::CallOp call, Attribute does, Site &site) {
    auto says = dyn_cast<tile::WorkAttrInterface>(does);
    if (!says)
      return;
    tile::KernelWork work = says.getWork();
    if (auto choices = call->getAttrOfType<IntegerAttr>("tile.choices"))
      work.rowOperations *= choices.getInt();
    site.work.rowOperations += work.rowOperations;
    site.work.positionOperations += work.positionOperations;
    if (int64_t operations = work.rowOperations + work.positionOperations; operations > site.heaviest)
      site.heaviest = operations, site.work.arithmetic = work.arithmetic;
  }

  // Whether a loop goes by the number of wanted rows, and not by that of tokens.
  static bool isOfWantedRows(Operation *loop) {
    bool rows = false, tokens = false;
    SmallVector<Value> values;
    loop->walk([&](Operation *op) { llvm::append_range(values, op->getOperands()); });
    while (!values.empty()) {
      Operation *op = values.pop_back_val().getDefiningOp();
      if (auto field = dyn_cast_or_null<tile::FieldOp>(op))
        rows |= field.getName() == "rows", tokens |= field.getName() == "tokens";
      else if (isa_and_nonnull<arith::IndexCastOp, arith::MulIOp>(op))
        llvm::append_range(values, op->getOperands());
    }
    return rows && !tokens;
  }

  func::FuncOp callee(func::CallOp call) { return getOperation().lookupSymbol<func::FuncOp>(call.getCallee()); }

  // What a call computes; null for a function that is no kernel.
  Attribute kernelOf(func::CallOp call) {
    func::FuncOp kernel = callee(call);
    return kernel ? kernel->getAttr("tile.kernel") : Attribute();
  }

  // "linear" of #tile.linear<…>: as it is printed, so that kernels of others have names too.
  StringRef mnemonic(Attribute kernel) {
    StringRef name = kernel.getAbstractAttribute().getName();
    name.consume_front("tile.");
    return name;
  }
};

} // namespace
