#include "passes/lowering/kernels/TileUnit.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace llmc::kernels {
namespace {

// Memory of the kernel, whatever loop it is used in.
Value allocate(KernelBuilder &b, int64_t bytes) {
  return mlir::LLVM::AllocaOp::create(b, mlir::LLVM::LLVMPointerType::get(b.getContext()), b.getI8Type(), b.constant(bytes), 64);
}

// LLVM's intrinsics that name a register by number. (Those on values of type x86_amx leave registers to LLVM, which then places the
// configuration and spills.)
class AmxTiles : public TileUnit {
public:
  explicit AmxTiles(KernelBuilder &b) : TileUnit(b), memory(allocate(b, kConfigBytes)) {
    b.store(b.constant(b.bytes(kConfigBytes), 0), memory, 64);
    b.store(b.constant(b.getI8Type(), 1), memory, 1); // the palette
    for (int64_t tile = 0; tile < kRegisters; ++tile)
      b.store(b.constant(b.getI16Type(), kRowBytes), b.at(memory, kColumnsOffset + 2 * tile), 2);
  }

  void configure(llvm::ArrayRef<Value> rows) override {
    for (auto [tile, count] : llvm::enumerate(rows))
      b.store(b.truncate(count, b.getI8Type()), b.at(memory, kRowsOffset + int64_t(tile)), 1);
    call("ldtilecfg", {memory});
  }
  void load(int64_t to, Value pointer, Value stride) override { call("tileloadd64", {number(to), pointer, stride}); }
  void store(int64_t from, Value pointer, Value stride) override { call("tilestored64", {number(from), pointer, stride}); }
  void multiply(int64_t sum, int64_t rows, int64_t columns) override { call("tdpbf16ps", {number(sum), number(rows), number(columns)}); }
  void release() override { call("tilerelease", {}); }

private:
  // Of the operand of ldtilecfg (Intel SDM volume 1, 18.2).
  static constexpr int64_t kConfigBytes = 64, kColumnsOffset = 16, kRowsOffset = 48;

  Value number(int64_t tile) { return b.constant(b.getI8Type(), tile); }
  void call(llvm::StringRef name, ValueRange operands) {
    mlir::LLVM::CallIntrinsicOp::create(b, b.getStringAttr("llvm.x86." + name), operands);
  }

  Value memory;
};

// The same in memory, an operation at a time: for tests on machines without the registers.
class EmulatedTiles : public TileUnit {
public:
  explicit EmulatedTiles(KernelBuilder &b)
      : TileUnit(b), registers(allocate(b, kRegisters * kRows * kRowBytes)), rowCounts(allocate(b, kRegisters * 8)) {}

  void configure(llvm::ArrayRef<Value> rows) override {
    for (auto [tile, count] : llvm::enumerate(rows))
      b.store(count, b.at(rowCounts, 8 * int64_t(tile)), 8);
    // As the instruction does; with NaN, so that nobody relies on it.
    b.loop(b.constant(0), b.constant(kRegisters * kRows), 1,
           [&](Value row) { b.store(b.constant(b.words(16), -1), b.at(registers, row, kRowBytes), 64); });
  }
  void load(int64_t to, Value pointer, Value stride) override {
    eachRow(to, [&](Value row) { b.store(b.load(b.words(16), b.at(pointer, b.mul(row, stride), 1)), rowOf(to, row), 64); });
  }
  void store(int64_t from, Value pointer, Value stride) override {
    eachRow(from, [&](Value row) { b.store(b.load(b.words(16), rowOf(from, row), 64), b.at(pointer, b.mul(row, stride), 1)); });
  }
  void multiply(int64_t sum, int64_t rows, int64_t columns) override {
    eachRow(sum, [&](Value row) {
      Value zero = b.constant(b.floats(16), 0.0);
      Values both = b.loop(b.constant(0), b.constant(kRows), 1, ValueRange{zero, zero}, [&](Value pair, ValueRange sums) {
        Value left = b.loadBroadcast(b.words(16), b.getI32Type(), b.at(rowOf(rows, row), pair, 4));
        Value right = b.load(b.words(16), rowOf(columns, pair), 64);
        return Values{b.fma(even(left), even(right), sums[0]), b.fma(odd(left), odd(right), sums[1])};
      });
      Value before = b.load(b.floats(16), rowOf(sum, row), 64);
      b.store(b.add(before, b.add(both[0], both[1])), rowOf(sum, row), 64);
    });
  }
  void release() override {}

private:
  void eachRow(int64_t tile, llvm::function_ref<void(Value row)> body) {
    b.loop(b.constant(0), b.load(b.getI64Type(), b.at(rowCounts, 8 * tile), 8), 1, body);
  }
  Value rowOf(int64_t tile, Value row) { return b.at(registers, row, kRowBytes, tile * kRows * kRowBytes); }
  // The lower and the upper bf16 of each word, as f32.
  Value even(Value pairs) { return b.bitcast(b.shiftLeft(pairs, 16), b.floats(16)); }
  Value odd(Value pairs) { return b.bitcast(b.bitAnd(pairs, 0xffff0000), b.floats(16)); }

  Value registers, rowCounts;
};

} // namespace

std::unique_ptr<TileUnit> TileUnit::create(KernelBuilder &b) {
  if (b.target.getTiles() == tile::Tiles::emulated)
    return std::make_unique<EmulatedTiles>(b);
  return std::make_unique<AmxTiles>(b);
}

} // namespace llmc::kernels
