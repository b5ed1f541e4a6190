#include "passes/quantization/Uses.h"

using namespace mlir;
using namespace llmc;
using namespace llmc::llm;

using Uses = llvm::MapVector<Operation *, WeightUse>;

// Whether a product's results choose experts: directly, or after a bias, a factor or a function of each channel.
static bool leadsToRoute(Operation *op) {
  return llvm::any_of(op->getUsers(), [](Operation *user) {
    return isa<RouteOp>(user) || (isa<AddBiasOp, ActivationOp, ScaleOp, ClampOp>(user) && leadsToRoute(user));
  });
}

static void add(OpOperand &operand, WeightUse &use) {
  Operation *op = operand.getOwner();
  Value value = operand.get();
  if (auto linear = dyn_cast<LinearOp>(op))
    llvm::is_contained(linear.getWeights(), value) && !leadsToRoute(op) ? use.asProduct = true : use.otherwise = true;
  else if (auto experts = dyn_cast<ExpertsOp>(op))
    value == experts.getGate() || value == experts.getUp() || value == experts.getDown() ? use.asProduct = true : use.otherwise = true;
  else if (auto embedding = dyn_cast<EmbeddingOp>(op); embedding && embedding.getIndex() == IndexSource::tokens)
    use.asTable = true;
  else
    use.otherwise = true;
}

bool llmc::isFloatMatrix(WeightOp weight) {
  return weight.getWeights().getShape().size() >= 2 && !isa<QuantType>(weight.getWeights().getElement());
}

Uses llmc::weightUses(ModuleOp module) {
  Uses uses;
  for (auto weight : module.getOps<WeightOp>())
    uses[weight];
  SymbolTable symbols(module);
  module.walk([&](WeightLoadOp load) {
    auto found = uses.find(symbols.lookup(load.getWeight()));
    if (found == uses.end())
      return;
    found->second.loads.push_back(load);
    for (OpOperand &operand : load->getResult(0).getUses())
      add(operand, found->second);
  });
  return uses;
}

// The weight of `value` if this is its only use, and it is the same entry of its array as `like` is of its own.
static WeightOp sameEntry(Value value, WeightOp weight, WeightLoadOp like, const Uses &uses) {
  auto load = value ? value.getDefiningOp<WeightLoadOp>() : nullptr;
  if (!load || !load->getResult(0).hasOneUse() || load.getLayer() != like.getLayer())
    return nullptr;
  auto other = SymbolTable::lookupNearestSymbolFrom<WeightOp>(load, load.getWeightAttr());
  auto use = uses.find(other);
  if (use == uses.end() || use->second.loads.size() != 1 || !use->second.isProductAlone() || !isFloatMatrix(other))
    return nullptr;
  bool alike = other.getLayersAttr() == weight.getLayersAttr() && other.getEntriesAttr() == weight.getEntriesAttr() &&
               other.getWeights().getLayers() == weight.getWeights().getLayers() &&
               other.getWeights().getShape().back() == weight.getWeights().getShape().back();
  return alike ? other : nullptr;
}

static WeightOp leaderOf(WeightOp weight, const WeightUse &use, const Uses &uses) {
  if (use.loads.size() != 1 || !use.loads[0]->getResult(0).hasOneUse())
    return weight;
  Operation *reader = *use.loads[0]->getResult(0).getUsers().begin();
  Value first;
  if (auto linear = dyn_cast<LinearOp>(reader))
    first = linear.getWeights()[0];
  else if (auto experts = cast<ExpertsOp>(reader); use.loads[0]->getResult(0) != experts.getDown())
    first = experts.getUp();
  WeightOp leader = sameEntry(first, weight, use.loads[0], uses);
  return leader ? leader : weight;
}

llvm::MapVector<Operation *, WeightOp> llmc::productInputs(ModuleOp module) {
  Uses uses = weightUses(module);
  llvm::MapVector<Operation *, WeightOp> leaders;
  for (auto &[op, use] : uses)
    if (auto weight = cast<WeightOp>(op); isFloatMatrix(weight) && use.isProductAlone())
      leaders[op] = leaderOf(weight, use, uses);
  return leaders;
}
