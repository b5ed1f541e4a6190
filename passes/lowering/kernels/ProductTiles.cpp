// Products of some panels and bf16 rows by matrix tiles.
//
//   out[p][t][n] += the tile product (TileUnit.h) of inputs [32 s, 32 s + 32) of row t and panel p, for s in ascending order from 0
//
// A row's sums depend on nothing else, and how rows, panels and inputs are cut into blocks does not change their order: one row and many
// rows agree bit for bit.
//
// What is multiplied at once is 2 x 2 tiles: 32 rows and two panels, whose four sums stay in registers over 256 inputs. Four loads
// of 8 cycles serve four products of 16. Rows stay in L1 while the pairs of panels pass, weights in L2. Weights that are not bf16 are unpacked to scratch once for all rows. See
// docs/architecture/matrix-tiles.md.
//
// x: (tokens, bf16RowBytes); out: (panels, tokens, 16) f32; scratch: (most, 256 / 2, 16, 2) bf16.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/Kernels.h"
#include "passes/lowering/kernels/PackedReader.h"
#include "passes/lowering/kernels/TileUnit.h"

using namespace mlir;
using llmc::llm::Format;

namespace llmc::kernels {
namespace {

constexpr int64_t kStep = tile::kTileInputs;            // inputs of a tile
constexpr int64_t kBlock = 256;                         // inputs whose sums stay in registers
constexpr int64_t kInputBytes = 2 * tile::kPanelOutputs; // of a panel, in bf16
constexpr int64_t kSlotBytes = kBlock * kInputBytes;    // of a panel's block in scratch
constexpr int64_t kTileRows = TileUnit::kRows, kRowsAtOnce = 2 * kTileRows, kResultBytes = tile::kPanelOutputs * 4;
// How far ahead of their use weights that few rows stream are asked for. As in ProductInt8.cpp, not measured with tiles.
constexpr int64_t kPrefetchBytes = 4096;

class TiledProduct {
public:
  TiledProduct(KernelBuilder &b, tile::TiledProductAttr product)
      : b(b), format(product.getFormat()), inputs(product.getInputs()), rowBytes(tile::bf16RowBytes(inputs)),
        panelBytes(tile::panelBytes(format, inputs)), tiles(TileUnit::create(b)), panel(b.argument(0)), panels(b.argument(1)),
        x(b.argument(2)), tokens(b.argument(3)), out(b.argument(4)), scratch(b.argument(5)) {}

  void emit();

  // Whether tiles are loaded from the panels themselves.
  static bool readsPanels(Format format, int64_t inputs) { return format == Format::bf16 && inputs % kStep == 0; }

private:
  struct Rows {
    Value first;
    int64_t tiles; // 1 or 2, as they are configured
  };
  struct Inputs {
    Value first, steps; // `steps` times 32 of them
  };
  // What is asked for while a block is multiplied.
  enum class Ahead { Nothing, Next, Stream };

  void emitMany();
  void emitFew();
  void outerLoop(Value end, int64_t step, llvm::function_ref<void(Value index)> body);
  void eachPair(llvm::function_ref<void(Value pair)> body);
  void eachBlock(llvm::function_ref<void(const Inputs &)> body);
  void withRest(Value rest, llvm::function_ref<void(int64_t tiles)> body);
  void choose(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise = nullptr);

  void configure(Value first, Value second);
  void multiply(const Rows &rows, Value pair, const Inputs &block, Ahead ahead);
  void multiplyStep(ArrayRef<Value> rows, ArrayRef<Value> columns);
  void prefetchNext(const Rows &rows, Value pair, const Inputs &block, Value step);
  void prefetchStream(ArrayRef<Value> columns);

  void unpack(Value index, const Inputs &block, bool streams);
  void unpackQuantised(Value from, const Inputs &block, Value to, bool streams);
  void unpackFloats(Value from, const Inputs &block, Value to);
  Value loadPair(Value from, Value pair);
  Value rounded(Value even, Value odd);

  int64_t allSteps() const { return (inputs + kStep - 1) / kStep; }
  bool readsPanels() const { return readsPanels(format, inputs); }
  int64_t packedBytes(int64_t inputs) const { return llm::isQuantised(format) ? tile::panelBytes(format, inputs) : inputs * kInputBytes; }
  Value constant(int64_t value) { return b.constant(value); }
  Value panelAt(Value index) { return b.at(panel, index, panelBytes); }
  Value weightsAt(Value index, const Inputs &block) {
    return readsPanels() ? b.at(panelAt(index), block.first, kInputBytes) : b.at(scratch, index, kSlotBytes);
  }
  Value resultAt(Value index, Value row) { return b.at(out, b.add(b.mul(index, tokens), row), kResultBytes); }

  // Registers: four sums, two of rows, two of panels.
  static constexpr int64_t kRowsRegister = 4, kPanelRegister = 6;
  static int64_t sumRegister(int64_t rowTile, int64_t panel) { return 2 * rowTile + panel; }

  KernelBuilder &b;
  const Format format;
  const int64_t inputs, rowBytes, panelBytes;
  std::unique_ptr<TileUnit> tiles;
  Value panel, panels, x, tokens, out, scratch;
};

//===--- unpacking ---===//

// Inputs 2p and 2p + 1 of the 16 outputs, rounded to bf16: [16][2].
Value TiledProduct::rounded(Value even, Value odd) {
  auto vectorOf = [&](int64_t lanes) { return VectorType::get(lanes, b.getBF16Type()); };
  SmallVector<int64_t> interleaved;
  for (int64_t n = 0; n < tile::kPanelOutputs; ++n)
    interleaved.append({n, n + tile::kPanelOutputs});
  Value both; // the even inputs, then the odd ones
  if (b.target.getVectorBits() >= 512) // by name: LLVM would interleave first, and round in halves
    both = b.intrinsic("llvm.x86.avx512bf16.cvtne2ps2bf16.512", vectorOf(32), {odd, even});
  else
    both = arith::TruncFOp::create(b, vectorOf(32), b.concat(even, odd));
  return b.bitcast(b.shuffle(both, both, interleaved), b.words(16));
}

// `streams`: the weights are read from memory now, and not asked for before.
void TiledProduct::unpackQuantised(Value from, const Inputs &block, Value to, bool streams) {
  PackedReader reader(b, format);
  const tile::PackedBlock &layout = reader.layout;
  Value end = b.mul(block.steps, constant(kStep)), groups = constant(layout.inputs / 32);
  b.loop(constant(0), end, layout.inputs, [&](Value input) {
    Value index = arith::DivUIOp::create(b, b.add(block.first, input), constant(layout.inputs));
    Value data = b.at(from, index, layout.blockBytes()), target = b.at(to, input, kInputBytes);
    PackedReader::BlockScales blockScales = reader.blockScales(data);
    b.loop(constant(0), groups, 1, [&](Value group) {
      Value quants = reader.quants(data, group), pairs = b.at(target, group, 32 * kInputBytes);
      for (int64_t line = 0; streams && line < layout.quantBytes() + 32; line += 64)
        b.prefetch(b.at(quants, kPrefetchBytes + line));
      PackedReader::GroupScales scales;
      for (int64_t quad = 0; quad < 8; ++quad) {
        if (quad * 4 % layout.group == 0) {
          Value scale = b.add(b.mul(group, constant(32 / layout.group)), constant(quad * 4 / layout.group));
          scales = reader.groupScales(data, blockScales, scale);
        }
        auto weights = reader.decodeQuad(quants, quad, scales);
        b.store(rounded(weights[0], weights[1]), b.at(pairs, quad * 4 * kInputBytes), 64);
        b.store(rounded(weights[2], weights[3]), b.at(pairs, (quad * 4 + 2) * kInputBytes), 64);
      }
    });
  });
}

// Pair `pair` of a panel of floats.
Value TiledProduct::loadPair(Value from, Value pair) {
  if (format == Format::bf16)
    return b.load(b.words(16), b.at(from, pair, 2 * kInputBytes), 64);
  auto half = [&](int64_t input) { return b.loadHalves(16, b.at(from, pair, 2 * kInputBytes, input * kInputBytes)); };
  return rounded(half(0), half(1));
}

// Beyond the last input there are zeros. (An odd last input of f16 lies in a panel that is padded.)
void TiledProduct::unpackFloats(Value from, const Inputs &block, Value to) {
  Value firstPair = b.shiftRight(block.first, 1), pairs = b.mul(block.steps, constant(kStep / 2));
  Value present = b.minimum(pairs, b.sub(constant((inputs + 1) / 2), firstPair));
  auto store = [&](Value value, Value pair) { b.store(value, b.at(to, pair, 2 * kInputBytes), 64); };
  b.loop(constant(0), present, 1, [&](Value pair) { store(loadPair(from, b.add(firstPair, pair)), pair); });
  b.loop(present, pairs, 1, [&](Value pair) { store(b.constant(b.words(16), 0), pair); });
}

void TiledProduct::unpack(Value index, const Inputs &block, bool streams) {
  Value from = panelAt(index), to = b.at(scratch, index, kSlotBytes);
  llm::isQuantised(format) ? unpackQuantised(from, block, to, streams) : unpackFloats(from, block, to);
}

//===--- multiplying ---===//

// Rows of the first and of the second 16 that are multiplied at once.
void TiledProduct::configure(Value first, Value second) {
  Value whole = constant(kTileRows);
  tiles->configure({first, first, second, second, first, second, whole, whole});
}

// Adds one tile of inputs to the sums.
void TiledProduct::multiplyStep(ArrayRef<Value> rows, ArrayRef<Value> columns) {
  for (size_t r = 0; r < rows.size(); ++r) {
    tiles->load(kRowsRegister + int64_t(r), rows[r], constant(rowBytes));
    for (size_t p = 0; p < 2; ++p) {
      if (r == 0)
        tiles->load(kPanelRegister + int64_t(p), columns[p], constant(TileUnit::kRowBytes));
      tiles->multiply(sumRegister(r, p), kRowsRegister + int64_t(r), kPanelRegister + int64_t(p));
    }
  }
}

// A pair of panels multiplies the rows of one round: asks for eight of the next round's rows, and for a part of the next block of
// the pair's weights, of which 16 rounds ask for all. To L2, where what the next pairs read does not drive them out.
void TiledProduct::prefetchNext(const Rows &rows, Value pair, const Inputs &block, Value step) {
  constexpr int64_t rowsOfPair = 8, toL2 = 2;
  Value line = b.mul(step, constant(64)), row = b.add(b.add(rows.first, constant(kRowsAtOnce)), b.mul(pair, constant(rowsOfPair / 2)));
  Value nextRows = b.at(b.at(b.at(x, row, rowBytes), block.first, 2), line, 1);
  for (int64_t r = 0; r < rowsOfPair; ++r)
    b.prefetch(b.at(nextRows, r * rowBytes), toL2);
  int64_t blockBytes = packedBytes(kBlock);
  Value nextBlock = b.add(arith::DivUIOp::create(b, block.first, constant(kBlock)), constant(1));
  for (Value index : {pair, b.add(pair, constant(1))}) {
    Value part = b.at(b.at(panelAt(index), nextBlock, blockBytes), rows.first, 8 * 64 / kRowsAtOnce);
    b.prefetch(b.at(part, line, 1), toL2);
  }
}

// A few rows read both panels front to back.
void TiledProduct::prefetchStream(ArrayRef<Value> columns) {
  for (Value column : columns)
    for (int64_t line = 0; line < kStep * kInputBytes; line += 64)
      b.prefetch(b.at(column, kPrefetchBytes + line));
}

// Adds a block of inputs to the sums of some rows and the panels `pair` and the next. Where there is no next, the last once more, whose
// results nobody reads.
void TiledProduct::multiply(const Rows &rows, Value pair, const Inputs &block, Ahead ahead) {
  Value next = b.add(pair, constant(1)), input = b.at(b.at(x, rows.first, rowBytes), block.first, 2);
  Value weights[2] = {weightsAt(pair, block), weightsAt(b.minimum(next, b.sub(panels, constant(1))), block)};
  auto eachSum = [&](auto body) {
    for (int64_t r = 0; r < rows.tiles; ++r)
      for (int64_t p = 0; p < 2; ++p)
        body(sumRegister(r, p), b.at(resultAt(p ? next : pair, rows.first), r * kTileRows * kResultBytes));
  };
  eachSum([&](int64_t sum, Value result) { tiles->load(sum, result, constant(kResultBytes)); });
  b.rolledLoop(constant(0), block.steps, 1, {}, [&](Value step, ValueRange) {
    Values left, right;
    for (int64_t r = 0; r < rows.tiles; ++r)
      left.push_back(b.at(input, step, 2 * kStep, r * kTileRows * rowBytes));
    for (Value panel : weights)
      right.push_back(b.at(panel, step, kStep * kInputBytes));
    if (ahead == Ahead::Next)
      prefetchNext(rows, pair, block, step);
    if (ahead == Ahead::Stream)
      prefetchStream(right);
    multiplyStep(left, right);
    return Values{};
  });
  eachSum([&](int64_t sum, Value result) { tiles->store(sum, result, constant(kResultBytes)); });
}

//===--- loops ---===//

// Loops around loops: unrolled they would be long and no faster.
void TiledProduct::outerLoop(Value end, int64_t step, llvm::function_ref<void(Value index)> body) {
  b.rolledLoop(constant(0), end, step, {}, [&](Value index, ValueRange) {
    body(index);
    return Values{};
  });
}

void TiledProduct::eachPair(llvm::function_ref<void(Value pair)> body) { outerLoop(panels, 2, body); }

void TiledProduct::eachBlock(llvm::function_ref<void(const Inputs &)> body) {
  outerLoop(constant(allSteps()), kBlock / kStep, [&](Value step) {
    body({b.mul(step, constant(kStep)), b.minimum(constant(kBlock / kStep), b.sub(constant(allSteps()), step))});
  });
}

// Fewer than 32 rows, or 32, if there are any: configures the tiles for them.
void TiledProduct::withRest(Value rest, llvm::function_ref<void(int64_t tiles)> body) {
  Value whole = constant(kTileRows);
  choose(b.compare(arith::CmpIPredicate::sgt, rest, whole),
         [&] {
           configure(whole, b.sub(rest, whole));
           body(2);
         },
         [&] {
           choose(b.compare(arith::CmpIPredicate::sgt, rest, constant(0)), [&] {
             configure(rest, rest);
             body(1);
           });
         });
}

void TiledProduct::choose(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(b, condition, /*withElseRegion=*/bool(otherwise));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenYield());
  then();
  if (!otherwise)
    return;
  b.setInsertionPoint(branch.elseYield());
  otherwise();
}

// A block of all panels at a time: it stays in L2 while all rows pass, and 32 rows of it in L1 while the panels do.
void TiledProduct::emitMany() {
  Value whole = constant(kTileRows), round = b.multipleBelow(tokens, kRowsAtOnce), rest = b.sub(tokens, round);
  auto configureWhole = [&] { configure(whole, whole); };
  configureWhole();
  eachBlock([&](const Inputs &block) {
    if (!readsPanels())
      b.loop(constant(0), panels, 1, [&](Value index) { unpack(index, block, /*streams=*/false); });
    outerLoop(round, kRowsAtOnce, [&](Value row) { eachPair([&](Value pair) { multiply({row, 2}, pair, block, Ahead::Next); }); });
    withRest(rest, [&](int64_t tiles) {
      eachPair([&](Value pair) { multiply({round, tiles}, pair, block, Ahead::Nothing); });
      configureWhole();
    });
  });
}

// Two panels at a time, front to back: what counts is that weights stream.
void TiledProduct::emitFew() {
  withRest(tokens, [&](int64_t tiles) {
    eachPair([&](Value pair) {
      Rows rows{constant(0), tiles};
      if (readsPanels())
        return multiply(rows, pair, {constant(0), constant(allSteps())}, Ahead::Stream);
      Value end = b.minimum(b.add(pair, constant(2)), panels);
      eachBlock([&](const Inputs &block) {
        b.loop(pair, end, 1, [&](Value index) { unpack(index, block, /*streams=*/true); });
        multiply(rows, pair, block, Ahead::Nothing);
      });
    });
  });
}

void TiledProduct::emit() {
  Value sums = b.mul(b.add(panels, b.bitAnd(panels, 1)), tokens);
  b.loop(constant(0), sums, 1, [&](Value row) { b.store(b.constant(b.floats(16), 0.0), b.at(out, row, kResultBytes), 4); });
  choose(b.compare(arith::CmpIPredicate::sgt, tokens, constant(kRowsAtOnce)), [&] { emitMany(); }, [&] { emitFew(); });
  tiles->release();
}

} // namespace

void emitTiledProduct(KernelBuilder &b, tile::TiledProductAttr product) { TiledProduct(b, product).emit(); }

int64_t tiledProductScratchBytes(tile::TiledProductAttr product) {
  return TiledProduct::readsPanels(product.getFormat(), product.getInputs()) ? 0 : product.getMost() * kSlotBytes;
}

} // namespace llmc::kernels
