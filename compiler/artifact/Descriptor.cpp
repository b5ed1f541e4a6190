// Member by member as runtime/artifact/Artifact.h declares the structs; a wrong count shows in EngineTest and on opening (struct_size).
#include "compiler/artifact/Descriptor.h"

#include "runtime/artifact/Artifact.h"

#include "llvm/IR/Constants.h"
#include "llvm/IR/DerivedTypes.h"
#include "llvm/IR/GlobalVariable.h"

using namespace llvm;

namespace llmc::artifact {
namespace {

class Constants {
public:
  explicit Constants(Module &module) : module(module), context(module.getContext()), pointer(PointerType::get(context, 0)) {}

  Constant *i32(uint32_t value) { return ConstantInt::get(Type::getInt32Ty(context), value); }
  Constant *i64(int64_t value) { return ConstantInt::get(Type::getInt64Ty(context), value, true); }

  // A zero-terminated string; equal ones are one.
  Constant *string(StringRef text) {
    Constant *&known = strings[text];
    if (!known)
      known = global(ConstantDataArray::getString(context, text), 1);
    return known;
  }

  Constant *bytes(StringRef data) { return global(ConstantDataArray::getString(context, data, /*AddNull=*/true), 64); }

  Constant *structure(ArrayRef<Constant *> members) { return ConstantStruct::getAnon(context, members); }

  // An array of structs of one type; null if empty.
  Constant *array(ArrayRef<Constant *> elements) {
    if (elements.empty())
      return ConstantPointerNull::get(pointer);
    return global(ConstantArray::get(ArrayType::get(elements.front()->getType(), elements.size()), elements), 8);
  }

  Constant *function(StringRef name, Type *second) {
    auto type = FunctionType::get(Type::getVoidTy(context), {pointer, second}, false);
    return cast<Constant>(module.getOrInsertFunction(name, type).getCallee());
  }

  Constant *global(Constant *value, unsigned alignment) {
    auto variable = new GlobalVariable(module, value->getType(), true, GlobalValue::PrivateLinkage, value);
    variable->setAlignment(Align(alignment));
    return variable;
  }

  Module &module;
  LLVMContext &context;
  PointerType *pointer;

private:
  StringMap<Constant *> strings;
};

Constant *entries(Constants &c, ArrayRef<StepVersion> steps) {
  SmallVector<Constant *> rows;
  for (const StepVersion &step : steps)
    rows.push_back(c.structure({c.i64(step.maxTokens), c.i64(step.arenaBytes), c.i64(step.scratchBytes), c.function(step.symbol, Type::getInt64Ty(c.context)), c.i64(step.bestRows)}));
  return c.array(rows);
}

Constant *isas(Constants &c, ArrayRef<TargetSteps> targets) {
  SmallVector<Constant *> rows;
  for (const TargetSteps &target : targets)
    rows.push_back(c.structure({c.string(target.target.name), c.string(target.target.required), c.i64(target.steps.size()), entries(c, target.steps),
                                c.i64(target.encoders.size()), entries(c, target.encoders)}));
  return c.array(rows);
}

Constant *gpuEntry(Constants &c, const GpuCode &code, const StepVersion &step, int64_t phaseCount) {
  SmallVector<Constant *> phases;
  for (int64_t i = 0; i < phaseCount; ++i)
    phases.push_back(c.string(step.symbol + "_phase_" + std::to_string(i)));
  return c.structure({c.i64(step.maxTokens), c.i64(step.arenaBytes), c.i64(step.scratchBytes), c.i64(code.sharedBytes), c.string(step.symbol),
                      c.i64(phaseCount), c.array(phases), c.function(step.symbol + "_launches", c.pointer), c.i64(step.bestRows)});
}

Constant *gpus(Constants &c, ArrayRef<GpuCode> gpus) {
  SmallVector<Constant *> rows;
  for (const GpuCode &code : gpus) {
    SmallVector<Constant *> entries;
    for (size_t i = 0; i < code.steps.size(); ++i)
      entries.push_back(gpuEntry(c, code, code.steps[i], code.phases[i]));
    Constant *cubin = code.cubin.empty() ? ConstantPointerNull::get(c.pointer) : c.bytes(code.cubin);
    rows.push_back(c.structure({c.string(code.target.name), c.i64(code.target.compute), c.i64(code.target.threads), c.bytes(code.ptx), cubin,
                                c.i64(static_cast<int64_t>(code.cubin.size())), c.i64(entries.size()), c.array(entries)}));
  }
  return c.array(rows);
}

Constant *weights(Constants &c, const PackedWeights &packed) {
  SmallVector<Constant *> rows;
  for (const PackedWeight &weight : packed.table)
    rows.push_back(c.structure({c.string(weight.name), c.i64(weight.offset), c.i64(weight.bytes)}));
  return c.array(rows);
}

Constant *states(Constants &c, ArrayRef<State> states) {
  SmallVector<Constant *> rows;
  for (const State &state : states)
    rows.push_back(c.structure({c.string(state.name), c.i64(state.layers), c.i64(state.bytesPerPosition), c.i64(state.fixedBytes)}));
  return c.array(rows);
}

Constant *assets(Constants &c, ArrayRef<std::pair<std::string, std::string>> assets) {
  SmallVector<Constant *> rows;
  for (auto &[name, contents] : assets)
    rows.push_back(c.structure({c.string(name), c.bytes(contents), c.i64(contents.size())}));
  return c.array(rows);
}

} // namespace

std::unique_ptr<Module> describe(const Description &d, LLVMContext &context) {
  auto module = std::make_unique<Module>("llmc_model", context);
  Constants c(*module);
  ArrayRef<uint8_t> id(d.weights.hash.data(), 16);
  Constant *value = c.structure({
      c.i32(LLMC_ARTIFACT_ABI), c.i32(sizeof(llmc_artifact)), c.string(d.metadata),
      c.i64(d.vocab), c.i64(d.hidden), c.i64(d.context),
      c.i64(d.targets.size()), isas(c, d.targets),
      c.i64(d.weights.table.size()), weights(c, d.weights), c.i64(d.weights.bytes),
      ConstantDataArray::get(context, id), c.string(d.weightFile),
      c.i64(d.states.size()), states(c, d.states),
      c.i64(d.assets.size()), assets(c, d.assets),
      c.i64(d.gpus.size()), gpus(c, d.gpus), c.i64(d.traits),
  });
  auto variable = new GlobalVariable(*module, value->getType(), true, GlobalValue::ExternalLinkage, value, "llmc_model");
  variable->setAlignment(Align(8));
  return module;
}

} // namespace llmc::artifact
