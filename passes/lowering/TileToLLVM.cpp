// --tile-to-llvm: see Passes.td.
#include "dialects/tile/Tables.h"
#include "passes/lowering/Passes.h"
#include "passes/lowering/kernels/Kernels.h"
#include "runtime/artifact/Artifact.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"

#include <cstddef>

namespace llmc {
#define GEN_PASS_DEF_TILETOLLVM
#include "passes/lowering/Passes.h.inc"
} // namespace llmc

using namespace mlir;
using namespace llmc;

namespace {

// Addresses and loads at one place of a function.
struct Access {
  OpBuilder b;
  Location loc;
  explicit Access(Operation *op) : b(op), loc(op->getLoc()) {}
  Access(OpBuilder b, Location loc) : b(b), loc(loc) {}

  Type pointer() { return LLVM::LLVMPointerType::get(b.getContext()); }
  Value i64(int64_t value) { return arith::ConstantIntOp::create(b, loc, value, 64); }
  Value at(Value base, int64_t bytes) {
    if (!llvm::isInt<32>(bytes)) // a constant index has 32 bits
      return at(base, i64(bytes));
    return LLVM::GEPOp::create(b, loc, pointer(), b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
  }
  Value at(Value base, Value bytes) { return LLVM::GEPOp::create(b, loc, pointer(), b.getI8Type(), base, ArrayRef<LLVM::GEPArg>{bytes}); }
  Value element(Value base, Type type, Value index) {
    return LLVM::GEPOp::create(b, loc, pointer(), type, base, ArrayRef<LLVM::GEPArg>{index});
  }
  Value load(Type type, Value from) { return LLVM::LoadOp::create(b, loc, type, from); }
  Value field(Value step, StringRef name) {
    const tile::StepField *field = tile::stepField(name);
    return load(field->isPointer ? pointer() : b.getI64Type(), at(step, field->offset));
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulIOp::create(b, loc, x, y); }
};

// Waits for all blocks of the grid. Those that have come are counted at `team`, the barriers that are over 64 bytes further; both start as 0.
// A block's own writes come before its count, and what it reads afterwards after the others' counts: by fences, since the PTX of LLVM 22 for an
// atomic addition is a relaxed one.
constexpr StringLiteral kGridBarrier = R"mlir(
llvm.func internal @llmc_grid_barrier(%team: !llvm.ptr) attributes {no_inline} {
  %zero32 = llvm.mlir.constant(0 : i32) : i32
  %zero = llvm.mlir.constant(0 : i64) : i64
  %one = llvm.mlir.constant(1 : i64) : i64
  %over = llvm.getelementptr %team[64] : (!llvm.ptr) -> !llvm.ptr, i8
  llvm.call_intrinsic "llvm.nvvm.barrier.cta.sync.aligned.all"(%zero32) : (i32) -> ()
  %thread = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.tid.x"() : () -> i32
  %leads = llvm.icmp "eq" %thread, %zero32 : i32
  llvm.cond_br %leads, ^lead, ^out
^lead:
  %seen = llvm.load %over atomic syncscope("device") monotonic {alignment = 8 : i64} : !llvm.ptr -> i64
  llvm.fence syncscope("device") acq_rel
  %before = llvm.atomicrmw add %team, %one syncscope("device") acq_rel : !llvm.ptr, i64
  llvm.fence syncscope("device") acq_rel
  %count = llvm.add %before, %one : i64
  %blocks32 = llvm.call_intrinsic "llvm.nvvm.read.ptx.sreg.nctaid.x"() : () -> i32
  %blocks = llvm.zext %blocks32 : i32 to i64
  %last = llvm.icmp "eq" %count, %blocks : i64
  llvm.cond_br %last, ^open, ^wait
^open:
  llvm.store %zero, %team atomic syncscope("device") monotonic {alignment = 8 : i64} : i64, !llvm.ptr
  %next = llvm.add %seen, %one : i64
  llvm.store %next, %over atomic syncscope("device") release {alignment = 8 : i64} : i64, !llvm.ptr
  llvm.br ^out
^wait:
  %now = llvm.load %over atomic syncscope("device") acquire {alignment = 8 : i64} : !llvm.ptr -> i64
  %same = llvm.icmp "eq" %now, %seen : i64
  llvm.cond_br %same, ^wait, ^out
^out:
  llvm.call_intrinsic "llvm.nvvm.barrier.cta.sync.aligned.all"(%zero32) : (i32) -> ()
  llvm.return
}
)mlir";

struct ToLLVM : llmc::impl::TileToLLVMBase<ToLLVM> {
  using TileToLLVMBase::TileToLLVMBase;
  DenseMap<Attribute, LLVM::GlobalOp> tables;
  int64_t threads = 0; // of a block; 0 on CPUs
  int64_t sharedBytes = 0;

  void runOnOperation() override {
    tables.clear();
    ModuleOp module = getOperation();
    auto target = module->getAttrOfType<tile::TargetAttr>("tile.target");
    threads = target ? target.getThreads() : 0;
    sharedBytes = 0;
    if (threads && failed(addGridBarrier()))
      return signalPassFailure();
    for (auto function : llvm::make_early_inc_range(module.getOps<func::FuncOp>())) {
      int64_t scratch = 0;
      if (auto bytes = function->getAttrOfType<IntegerAttr>("tile.scratch_bytes"))
        scratch = bytes.getInt();
      SmallVector<Operation *> ops;
      function.walk([&](Operation *op) {
        if (isa<tile::TileDialect>(op->getDialect()))
          ops.push_back(op);
      });
      for (Operation *op : ops)
        replace(op, scratch);
      finish(function);
    }
    if (threads)
      module->setAttr(kernels::kSharedBytesAttr, IntegerAttr::get(IntegerType::get(&getContext(), 64), sharedBytes));
  }

  void finish(func::FuncOp function) {
    if (threads && (function->hasAttr("tile.kernel") || function->hasAttr("tile.phase")))
      keepApart(function);
    if (threads && (function->hasAttr("llm.max_tokens") || function->hasAttr("tile.phase")))
      addEntry(function);
    makeInternal(function);
  }

  // As functions of their own, kernels and phases do not weigh on others by their registers, and ptxas says what each spills.
  void keepApart(func::FuncOp function) {
    function->setAttr("passthrough", ArrayAttr::get(&getContext(), {StringAttr::get(&getContext(), "noinline")}));
    if (auto bytes = dyn_cast_or_null<IntegerAttr>(function->removeAttr(kernels::kSharedBytesAttr)))
      sharedBytes = std::max(sharedBytes, bytes.getInt());
  }

  LogicalResult addGridBarrier() {
    OwningOpRef<ModuleOp> parsed = parseSourceString<ModuleOp>(kGridBarrier, &getContext());
    if (!parsed)
      return failure();
    Operation *barrier = &parsed->getBody()->front();
    barrier->remove();
    getOperation().push_back(barrier);
    return success();
  }

  // The kernel: (step) or (step, layer). Its block's number is the worker.
  void addEntry(func::FuncOp inner) {
    std::string name = (prefix + inner.getName()).str();
    OpBuilder b(inner);
    Location loc = inner.getLoc();
    SmallVector<Type> types(inner.getArgumentTypes());
    types.erase(types.begin() + 1);
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()), types);
    auto entry = LLVM::LLVMFuncOp::create(b, loc, name, type, LLVM::Linkage::External, /*dsoLocal=*/false, LLVM::CConv::PTX_Kernel);
    entry.setPassthroughAttr(b.getArrayAttr({b.getStrArrayAttr({"nvvm.maxntid", std::to_string(threads)}), b.getStrArrayAttr({"nvvm.minctasm", "1"})}));
    b.setInsertionPointToStart(entry.addEntryBlock(b));
    Access a(b, loc);
    SmallVector<Value> operands{entry.getArgument(0), special(a, "ctaid.x")};
    llvm::append_range(operands, entry.getArguments().drop_front());
    func::CallOp::create(b, loc, inner, operands);
    LLVM::ReturnOp::create(b, loc, ValueRange());
  }

  // A special register, widened.
  Value special(Access &a, StringRef name) {
    StringAttr intrinsic = a.b.getStringAttr(("llvm.nvvm.read.ptx.sreg." + name).str());
    Value number = LLVM::CallIntrinsicOp::create(a.b, a.loc, a.b.getI32Type(), intrinsic, ValueRange()).getResults();
    return arith::ExtUIOp::create(a.b, a.loc, a.b.getI64Type(), number);
  }

  void makeInternal(func::FuncOp function) {
    if (function.isExternal()) // a kernel whose body comes later, found by its attribute
      return;
    if (function->hasAttr("tile.host"))
      return;
    bool isStep = function->hasAttr("llm.max_tokens") && !threads; // else its kernel is what others call
    if (isStep)
      function.setName((prefix + function.getName()).str());
    else
      function->setAttr("llvm.linkage", LLVM::LinkageAttr::get(&getContext(), LLVM::Linkage::Internal));
    function->removeAttr("tile.kernel");
  }

  void replace(Operation *op, int64_t scratchBytes) {
    Access a(op);
    Value value = llvm::TypeSwitch<Operation *, Value>(op)
                      .Case([&](tile::FieldOp op) { return a.field(op.getStep(), op.getName()); })
                      .Case([&](tile::BufferOp op) { return a.at(a.field(op.getStep(), "arena"), op.getOffset().value_or(0)); })
                      .Case([&](tile::ScratchOp op) {
                        return a.at(a.field(op.getStep(), "scratch"), a.mul(op.getWorker(), a.i64(scratchBytes)));
                      })
                      .Case([&](tile::WeightOp op) { return weight(a, op); })
                      .Case([&](tile::StateOp op) { return state(a, op); })
                      .Case([&](tile::LookupOp op) { return lookup(a, op); })
                      .Case([&](tile::RowOp op) {
                        Value row = a.at(op.getBase(), a.mul(op.getIndex(), a.i64(op.getBytes())));
                        return op.getOffset() ? a.at(row, int64_t(op.getOffset())) : row;
                      })
                      .Case([&](tile::EntryOp op) -> Value {
                        Value entry = a.load(a.b.getI32Type(), a.element(op.getBase(), a.b.getI32Type(), op.getIndex()));
                        return arith::ExtSIOp::create(a.b, a.loc, a.b.getI64Type(), entry);
                      })
                      .Case([&](tile::ClaimOp op) -> Value {
                        Value counter = a.at(a.field(op.getStep(), "team"), static_cast<int64_t>(offsetof(llmc_team, next_tile)));
                        return LLVM::AtomicRMWOp::create(a.b, a.loc, LLVM::AtomicBinOp::add, counter, a.i64(1),
                                                         LLVM::AtomicOrdering::monotonic);
                      })
                      .Case([&](tile::LaunchOp op) { return launch(a, op), Value(); })
                      .Case([&](tile::WorkersOp op) { return workers(a, op); })
                      .Case([&](tile::BarrierOp op) { return barrier(a, op), Value(); })
                      .Case([&](tile::MarkOp op) {
                        Value site = a.i64(int64_t(op.getSite())), moment = a.i64(int64_t(op.getMoment()));
                        return profile(a, op.getStep(), offsetof(llmc_profile, mark), {op.getWorker(), site, moment}), Value();
                      })
                      .Case([&](tile::CountOp op) {
                        Value counter = a.i64(int64_t(op.getCounter()));
                        return profile(a, op.getStep(), offsetof(llmc_profile, count), {counter, op.getRow(), op.getAmount()}), Value();
                      });
    if (value)
      op->replaceAllUsesWith(ValueRange{value});
    op->erase();
  }

  Value weight(Access &a, tile::WeightOp op) {
    ModuleOp module = getOperation();
    int64_t first = tile::weightTableIndex(module, module.lookupSymbol<llm::WeightOp>(op.getWeightAttr()));
    return a.load(a.pointer(), a.element(a.field(op.getStep(), "weights"), a.pointer(), a.add(op.getLayer(), a.i64(first))));
  }

  Value state(Access &a, tile::StateOp op) {
    ModuleOp module = getOperation();
    Value index = a.i64(tile::stateTableIndex(module, module.lookupSymbol<llm::StateOp>(op.getStateAttr())));
    Type i64 = a.b.getI64Type();
    Value base = a.load(a.pointer(), a.element(a.field(op.getStep(), "states"), a.pointer(), index));
    Value slotBytes = a.load(i64, a.element(a.field(op.getStep(), "state_slot_bytes"), i64, index));
    Value layerBytes = a.load(i64, a.element(a.field(op.getStep(), "state_layer_bytes"), i64, index));
    return a.at(base, a.add(a.mul(op.getSlot(), slotBytes), a.mul(op.getLayer(), layerBytes)));
  }

  Value lookup(Access &a, tile::LookupOp op) {
    LLVM::GlobalOp &table = tables[op.getTableAttr()];
    if (!table) {
      OpBuilder b = OpBuilder::atBlockBegin(getOperation().getBody());
      auto type = LLVM::LLVMArrayType::get(b.getI64Type(), op.getTable().size());
      auto values = DenseElementsAttr::get(RankedTensorType::get({static_cast<int64_t>(op.getTable().size())}, b.getI64Type()), op.getTable());
      table = LLVM::GlobalOp::create(b, a.loc, type, /*isConstant=*/true, LLVM::Linkage::Internal,
                                     llvm::formatv("table_{0}", tables.size()).str(), values);
    }
    Value address = LLVM::AddressOfOp::create(a.b, a.loc, table);
    return a.load(a.b.getI64Type(), a.element(address, a.b.getI64Type(), op.getIndex()));
  }

  Value workers(Access &a, tile::WorkersOp op) {
    if (threads)
      return special(a, "nctaid.x");
    return a.load(a.b.getI64Type(), a.at(a.field(op.getStep(), "team"), static_cast<int64_t>(offsetof(llmc_team, workers))));
  }

  void barrier(Access &a, tile::BarrierOp op) {
    Value team = a.field(op.getStep(), "team");
    if (threads) {
      LLVM::CallOp::create(a.b, a.loc, TypeRange(), "llmc_grid_barrier", team);
      return;
    }
    Value wait = a.load(a.pointer(), a.at(team, static_cast<int64_t>(offsetof(llmc_team, barrier))));
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()), {a.pointer()});
    LLVM::CallOp::create(a.b, a.loc, type, ValueRange{wait, team});
  }

  void launch(Access &a, tile::LaunchOp op) {
    Value function = a.load(a.pointer(), a.at(op.getLauncher(), static_cast<int64_t>(offsetof(llmc_launcher, launch))));
    Type i64 = a.b.getI64Type();
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()), {a.pointer(), i64, i64});
    LLVM::CallOp::create(a.b, a.loc, type, ValueRange{function, op.getLauncher(), a.i64(int64_t(op.getPhase())), op.getLayer()});
  }

  // Calls a function of the step's profile with three numbers.
  void profile(Access &a, Value step, size_t offset, ArrayRef<Value> numbers) {
    Value profile = a.field(step, "profile");
    Value function = a.load(a.pointer(), a.at(profile, static_cast<int64_t>(offset)));
    Type i64 = a.b.getI64Type();
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(&getContext()), {a.pointer(), i64, i64, i64});
    LLVM::CallOp::create(a.b, a.loc, type, ValueRange{function, profile, numbers[0], numbers[1], numbers[2]});
  }
};

} // namespace
