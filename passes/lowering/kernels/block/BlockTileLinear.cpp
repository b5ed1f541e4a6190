// Products of many tokens by a block, by matrices of mma.sync: outputs are its rows, tokens its columns.
//
// A warp has one panel or two (both weights' with glu) and some of the tokens, eight to a matrix; weights go from memory to registers, a stage
// ahead of what is multiplied, rows of x through shared memory in three slots: one that is read, two that are on their way. Where a tile is one
// panel, of few tokens, reading weights is what takes time: then the warps share out the inputs instead, and add up in ascending order.
//
// Columns are independent: a row has the bits that it would have alone.
#include "passes/lowering/kernels/block/BlockTileLinear.h"

#include "passes/lowering/kernels/LinearOperands.h"
#include "passes/lowering/kernels/block/BlockTiles.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <limits>

using namespace mlir;
using llmc::llm::Format;
using llmc::tile::Arithmetic;

namespace llmc::kernels {
namespace {

using Four = BlockBuilder::Four;

constexpr int64_t kColumns = 8;                     // of a matrix: tokens
constexpr int64_t kPiece = 16;                      // bytes of a row that go to shared memory together
constexpr int64_t kManyRows = 64, kFewRows = 16;    // that a block has at a time
constexpr int64_t kMostPartsOfRows = kManyRows / 16; // two matrices are the least of a warp
constexpr int64_t kSlots = 3;
constexpr int64_t kInt8AsFloat = 0x4b400000; // 1.5 * 2^23: an integer below 2^22 added to its bits is added to its value

// Who does what.
struct Division {
  int64_t panels;  // of a warp's: its A operands
  int64_t groups;  // of so many panels, in a tile
  int64_t rowParts, inputParts;
  int64_t rows;    // of a block at a time
  int64_t chunks;  // of a warp in a stage
  int64_t ahead;   // stages of weights on their way

  Division(tile::LinearAttr kernel, int64_t warps) {
    bool glu = kernel.getGlu(), few = kernel.getPanels() == 1;
    panels = glu || !few ? 2 : 1;
    groups = glu ? kernel.getPanels() : (kernel.getPanels() + 1) / 2;
    rowParts = few ? 1 : std::clamp<int64_t>(int64_t(llvm::bit_floor(uint64_t(std::max<int64_t>(warps / groups, 1)))), 1, kMostPartsOfRows);
    inputParts = few ? warps : 1;
    rows = few ? kFewRows : kManyRows;
    chunks = kernel.getArithmetic() == Arithmetic::bf16 && few ? 1 : 2;
    ahead = few ? 3 : 1;
  }
  int64_t rowsOfWarp() const { return rows / rowParts; }
  int64_t matrices() const { return rowsOfWarp() / kColumns; } // of a panel of a warp
  int64_t chunksOfBlock() const { return chunks * inputParts; }
};

//===----------------------------------------------------------------------===//
// Rows of x in shared memory
//===----------------------------------------------------------------------===//

// A stage of them: pieces of 16 bytes, [piece][row], so that eight rows of a piece are what one matrix of ldmatrix reads without conflicts, and
// an odd number of pieces apart, so that neighbouring pieces of a row can be written together. Of int8 rows then the numbers of each chunk:
// [scale, sums…][chunk][row].
class StagedRows {
public:
  StagedRows(BlockBuilder &b, const Division &division, Arithmetic arithmetic, int64_t inputs, ArrayRef<Format> formats)
      : b(b), division(division), isInt8(arithmetic == Arithmetic::int8), inputs(inputs), rowBytes(inputRowBytes(arithmetic, inputs)),
        chunks((inputs + 31) / 32) {
    if (!isInt8)
      return;
    numbers.push_back({tile::int8ScalesOffset(inputs), 4});
    for (Format format : formats) {
      const tile::PackedBlock layout = tile::packedBlock(format);
      if (layout.minima && layout.group == 32)
        sums = {tile::int8ScaledSumsOffset(inputs), 4};
      if (layout.minima && layout.group == 16)
        halfSums = {tile::int8HalfSumsOffset(inputs), 8};
    }
    if (sums.offset)
      sums.index = int64_t(numbers.size()), numbers.push_back(sums);
    for (int64_t half = 0; half < 2 && halfSums.offset; ++half) {
      if (half == 0)
        halfSums.index = int64_t(numbers.size());
      numbers.push_back({halfSums.offset + 4 * half, 8});
    }
  }

  int64_t stages() const { return (chunks + division.chunksOfBlock() - 1) / division.chunksOfBlock(); }
  int64_t slotBytes() const { return stagePieces() * pieceStride() + int64_t(numbers.size()) * numberBytes(); }

  // Rows from `first` on, of `tokens`; those beyond are the last again.
  void start(Value x, Value first, Value tokens, Value shared);
  // Asks for stage number `stage` in `slot` (its offset); beyond the last stage, for zeros.
  void ask(Value stage, Value slot);

  // Operands b of two matrices, by words t and t + 4: of bf16, those of both halves of a chunk for the eight rows from `row` on; of int8, of the
  // 16 rows from `row` on. `chunk`: of the stage, the warp's own being added.
  Four operands(Value slot, Value chunk, int64_t row);
  std::array<Value, 2> scales(Value slot, Value chunk, int64_t row) { return numbersOf(slot, 0, chunk, row); }
  std::array<Value, 2> scaledSums(Value slot, Value chunk, int64_t row) { return numbersOf(slot, sums.index, chunk, row); }
  std::array<Value, 2> halfSumsOf(Value slot, int64_t half, Value chunk, int64_t row) { return numbersOf(slot, halfSums.index + half, chunk, row); }
  // Where the warp's own rows and chunks begin.
  void warpHas(Value rowPart, Value inputPart);

private:
  struct Number {
    int64_t offset = 0, stride = 0, index = 0;
  };
  // A share of a stage's copies, the thread's own.
  struct Copy {
    Value from, to, number; // of the piece or chunk in the stage
  };

  int64_t piecesOfChunk() const { return isInt8 ? 2 : 4; }
  int64_t stagePieces() const { return division.chunksOfBlock() * piecesOfChunk(); }
  int64_t pieceStride() const { return (division.rows + 1) * kPiece; }
  int64_t numberBytes() const { return division.chunksOfBlock() * division.rows * 4; }
  SmallVector<Copy> share(int64_t ofRow, llvm::function_ref<Copy(Value row, Value number)> copy);
  void askFor(ArrayRef<Copy> copies, Value stage, Value slot, int64_t bytes, int64_t ofStage, int64_t stageBytes, int64_t count);
  std::array<Value, 2> numbersOf(Value slot, int64_t index, Value chunk, int64_t row);

  BlockBuilder &b;
  const Division &division;
  const bool isInt8;
  const int64_t inputs, rowBytes, chunks;
  SmallVector<Number> numbers;
  Number sums, halfSums;
  Value memory, matrixAt, numberAt;
  SmallVector<Copy> pieces;
  SmallVector<SmallVector<Copy>> ofNumbers;
};

// The thread's pairs of row and number, `ofRow` numbers of each row, in turns.
SmallVector<StagedRows::Copy> StagedRows::share(int64_t ofRow, llvm::function_ref<Copy(Value, Value)> copy) {
  SmallVector<Copy> copies;
  for (int64_t first = 0; first < division.rows * ofRow; first += b.threads()) {
    Value index = b.add(b.thread(), b.constant(first));
    if (first + b.threads() > division.rows * ofRow) // the last ones twice
      index = b.minimum(index, b.constant(division.rows * ofRow - 1));
    copies.push_back(copy(b.shiftRight(index, llvm::Log2_64(uint64_t(ofRow))), b.bitAnd(index, ofRow - 1)));
  }
  return copies;
}

void StagedRows::start(Value x, Value first, Value tokens, Value shared) {
  memory = shared;
  pieces.clear(), ofNumbers.clear();
  auto rowAt = [&](Value row) { return b.at(b.global(x), b.minimum(b.add(first, row), b.sub(tokens, b.constant(1))), rowBytes); };
  pieces = share(stagePieces(), [&](Value row, Value piece) -> Copy {
    return {b.at(rowAt(row), piece, kPiece), b.at(b.at(shared, piece, pieceStride()), row, kPiece), piece};
  });
  for (auto [i, number] : llvm::enumerate(numbers)) {
    int64_t to = stagePieces() * pieceStride() + int64_t(i) * numberBytes();
    ofNumbers.push_back(share(division.chunksOfBlock(), [&, number = number](Value row, Value chunk) -> Copy {
      return {b.at(rowAt(row), chunk, number.stride, number.offset), b.at(b.at(shared, chunk, division.rows * 4, to), row, 4), chunk};
    }));
  }
}

void StagedRows::askFor(ArrayRef<Copy> copies, Value stage, Value slot, int64_t bytes, int64_t ofStage, int64_t stageBytes, int64_t count) {
  for (const Copy &copy : copies) {
    Value number = b.add(b.mul(stage, b.constant(ofStage)), copy.number);
    Value isThere = b.compare(arith::CmpIPredicate::slt, number, b.constant(count));
    b.copyAsyncOrZero(bytes, b.at(copy.to, slot, 1), b.at(copy.from, stage, stageBytes), isThere);
  }
}

void StagedRows::ask(Value stage, Value slot) {
  askFor(pieces, stage, slot, kPiece, stagePieces(), stagePieces() * kPiece, chunks * piecesOfChunk());
  for (auto [number, copies] : llvm::zip(numbers, ofNumbers))
    askFor(copies, stage, slot, 4, division.chunksOfBlock(), division.chunksOfBlock() * number.stride, chunks);
  b.commitCopies();
}

void StagedRows::warpHas(Value rowPart, Value inputPart) {
  // Lane 8 i + r says where row r of matrix i is: matrices are the four pieces of a chunk of bf16, and of int8 its two pieces of two times 8 rows.
  Value matrix = b.shiftRight(b.lane(), 3), piece = isInt8 ? b.bitAnd(matrix, 1) : matrix, row = b.bitAnd(b.lane(), 7);
  if (isInt8)
    row = b.add(row, b.mul(b.shiftRight(matrix, 1), b.constant(kColumns)));
  row = b.add(row, b.mul(rowPart, b.constant(division.rowsOfWarp())));
  piece = b.add(piece, b.mul(inputPart, b.constant(division.chunks * piecesOfChunk())));
  matrixAt = b.at(b.at(memory, piece, pieceStride()), row, kPiece);
  Value column = b.add(b.mul(rowPart, b.constant(division.rowsOfWarp())), b.mul(b.bitAnd(b.lane(), 3), b.constant(2)));
  Value chunk = b.mul(inputPart, b.constant(division.chunks));
  numberAt = b.at(b.at(memory, chunk, division.rows * 4, stagePieces() * pieceStride()), column, 4);
}

Four StagedRows::operands(Value slot, Value chunk, int64_t row) {
  return b.loadMatrices(b.at(b.at(matrixAt, slot, 1), chunk, piecesOfChunk() * pieceStride(), row * kPiece));
}

std::array<Value, 2> StagedRows::numbersOf(Value slot, int64_t index, Value chunk, int64_t row) {
  Values two = b.elements(b.load(b.floats(2), b.at(b.at(numberAt, slot, 1), chunk, division.rows * 4, index * numberBytes() + row * 4), 8));
  return {two[0], two[1]};
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

class TileLinear : LinearOperands {
public:
  TileLinear(BlockBuilder &b, tile::LinearAttr kernel) : LinearOperands(b, kernel), b(b), division(kernel, b.warps()) {}

  void emit() {
    int64_t bytes = 0;
    everyFormats([&](ArrayRef<Format> formats) { bytes = std::max(bytes, sharedBytes(formats)); });
    shared = b.shared(bytes);
    ofWeight([&](unsigned weight, Value tile) { tileOf(weight, tile); });
  }

private:
  using Sums = Values; // f32: [panel][matrix][4]

  void everyFormats(llvm::function_ref<void(ArrayRef<Format>)> body);
  int64_t sharedBytes(ArrayRef<Format> formats);
  int64_t sumsOf() const { return division.panels * division.matrices() * 4; }
  void tileOf(unsigned weight, Value tile);
  void groupOf(unsigned weight, Value firstPanel, Value firstRow, Value firstGroup);
  void withFormats(unsigned weight, llvm::function_ref<void(ArrayRef<Format>)> body);
  void product(ArrayRef<Format> formats, unsigned weight, Value panel, Value firstRow, Value rowPart, Value isMine);
  Sums sumsOver(StagedRows &rows, ArrayRef<std::unique_ptr<TilePanel>> panels, Value inputPart);
  Sums multiply(StagedRows &rows, ArrayRef<std::unique_ptr<TilePanel>> panels, ArrayRef<Values> loaded, Value slot, Sums sums);
  void multiplyBf16(StagedRows &rows, ArrayRef<TilePanel::Chunk> panels, int64_t chunk, Value slot, Sums &sums);
  void multiplyInt8(StagedRows &rows, ArrayRef<TilePanel::Chunk> panels, Value chunk, Value slot, Sums &sums);
  void addGroups(StagedRows &rows, const TilePanel::Chunk &panel, Value chunk, int64_t row, Value slot, std::array<Value, 2> operand, MutableArrayRef<Value> sums);
  void addParts(const Sums &sums, unsigned weight, Value panel, Value firstRow);

  // Of four sums each: outputs 2 g and 2 g + 1 of the panel (c: (output, row), (output, row + 1), then the next output's), rows from `row` + 2 t on.
  void finish(ArrayRef<Values> sums, unsigned weight, Value panel, Value row);
  void write(Value values, unsigned weight, Value panel, Value row);
  void writeRows(ArrayRef<Value> four, unsigned weight, Value output, Value row);
  void writeKeys(Value values, Value panel, Value output, Value row);
  Value fourOf(llvm::function_ref<Value(int64_t output, int64_t row)> one);
  Value biasOf(unsigned weight, Value panel);
  Value residualOf(unsigned weight, Value output, Value row);
  void eachRow(Value row, llvm::function_ref<void(size_t which, Value row)> body);

  BlockBuilder &b;
  const Division division;
  Value shared;
  Value end; // of the tile's panels
};

// Combinations of formats that the panels of a warp may have.
void TileLinear::everyFormats(llvm::function_ref<void(ArrayRef<Format>)> body) {
  for (unsigned weight = 0; weight < weights.size(); ++weight)
    for (Format format : formatsOf(type(weight))) {
      if (!kernel.getGlu())
        body(format);
      for (Format other : kernel.getGlu() ? formatsOf(type(1)) : SmallVector<Format>())
        body({format, other});
    }
}

void TileLinear::withFormats(unsigned weight, llvm::function_ref<void(ArrayRef<Format>)> body) {
  anyFormat(weight, [&](Format format) {
    if (!kernel.getGlu())
      return body({format});
    anyFormat(1, [&](Format other) { body({format, other}); });
  });
}

int64_t TileLinear::sharedBytes(ArrayRef<Format> formats) {
  int64_t parts = division.inputParts > 1 ? division.inputParts * sumsOf() * kWarp * 4 : 0;
  return std::max(parts, kSlots * StagedRows(b, division, kernel.getArithmetic(), inputs(), formats).slotBytes());
}

void TileLinear::tileOf(unsigned weight, Value tile) {
  Value firstPanel = b.mul(tile, b.constant(kernel.getPanels()));
  int64_t groupsAtOnce = std::max<int64_t>(b.warps() / division.rowParts / division.inputParts, 1);
  b.loop(b.constant(0), tokens, division.rows, [&](Value firstRow) {
    b.loop(b.constant(0), b.constant(division.groups), groupsAtOnce, [&](Value group) { groupOf(weight, firstPanel, firstRow, group); });
  });
}

// A warp's share: panels, rows, and inputs. Warps that have none do as another does, and write nothing.
void TileLinear::groupOf(unsigned weight, Value firstPanel, Value firstRow, Value firstGroup) {
  int64_t partBits = llvm::Log2_64(uint64_t(division.rowParts));
  bool byInputs = division.inputParts > 1;
  Value group = byInputs ? firstGroup : b.add(firstGroup, b.shiftRight(b.warp(), partBits));
  Value rowPart = byInputs ? b.constant(0) : b.bitAnd(b.warp(), division.rowParts - 1);
  Value panel = b.add(firstPanel, b.mul(group, b.constant(kernel.getGlu() ? 1 : division.panels)));
  end = b.minimum(b.add(firstPanel, b.constant(kernel.getPanels())), b.constant(tile::panelCount(outputs(weight))));
  Value isMine = b.compare(arith::CmpIPredicate::slt, panel, end);
  withFormats(weight, [&](ArrayRef<Format> formats) { product(formats, weight, panel, firstRow, rowPart, isMine); });
}

void TileLinear::product(ArrayRef<Format> formats, unsigned weight, Value panel, Value firstRow, Value rowPart, Value isMine) {
  bool byInputs = division.inputParts > 1;
  Value inputPart = byInputs ? b.warp() : b.constant(0);
  StagedRows rows(b, division, kernel.getArithmetic(), inputs(), formats);
  rows.start(x, firstRow, tokens, shared);
  rows.warpHas(rowPart, inputPart);
  SmallVector<std::unique_ptr<TilePanel>> panels;
  for (int64_t i = 0; i < division.panels; ++i) {
    unsigned factor = kernel.getGlu() ? unsigned(i) : weight;
    Format format = formats[kernel.getGlu() ? size_t(i) : 0];
    Value index = b.minimum(kernel.getGlu() ? panel : b.add(panel, b.constant(i)), b.constant(tile::panelCount(outputs(factor)) - 1));
    panels.push_back(tilePanel(b, format, kernel.getArithmetic(), inputs(), b.at(weights[factor], index, tile::panelBytes(format, inputs()))));
  }
  Sums sums = sumsOver(rows, panels, inputPart);
  if (byInputs)
    return addParts(sums, weight, panel, firstRow);
  b.onlyIf(isMine, [&] {
    for (int64_t matrix = 0; matrix < division.matrices(); ++matrix) {
      SmallVector<Values> ofPanels;
      for (int64_t i = 0; i < division.panels; ++i)
        ofPanels.push_back(Values(ArrayRef<Value>(sums).slice(size_t(i * division.matrices() + matrix) * 4, 4)));
      Value row = b.add(b.add(firstRow, b.mul(rowPart, b.constant(division.rowsOfWarp()))), b.constant(matrix * kColumns));
      finish(ofPanels, weight, panel, row);
    }
  });
}

// Over all stages. Weights are asked for before the barrier of a stage, rows of x after it; both are multiplied later.
TileLinear::Sums TileLinear::sumsOver(StagedRows &rows, ArrayRef<std::unique_ptr<TilePanel>> panels, Value inputPart) {
  int64_t stages = rows.stages(), slotBytes = rows.slotBytes();
  SmallVector<size_t> counts; // of words that a stage of each panel has
  auto load = [&](Value stage) {
    Values all;
    counts.clear();
    Value first = b.add(b.mul(stage, b.constant(division.chunksOfBlock())), b.mul(inputPart, b.constant(division.chunks)));
    for (const auto &panel : panels) {
      Values loaded = panel->load(first, division.chunks);
      counts.push_back(loaded.size());
      llvm::append_range(all, loaded);
    }
    return all;
  };
  auto split = [&](ValueRange loaded) {
    SmallVector<Values> result;
    for (size_t count : counts) {
      result.push_back(Values(loaded.take_front(count)));
      loaded = loaded.drop_front(count);
    }
    return result;
  };
  for (int64_t stage = 0; stage < kSlots - 1; ++stage)
    rows.ask(b.constant(stage), b.constant(stage * slotBytes));
  Values carried(size_t(sumsOf()), b.constant(b.getF32Type(), 0.0));
  carried.push_back(b.constant(0)); // slot of the stage
  for (int64_t stage = 0; stage < division.ahead; ++stage)
    llvm::append_range(carried, load(b.constant(stage)));
  size_t sumCount = size_t(sumsOf()), words = (carried.size() - sumCount - 1) / size_t(division.ahead);
  carried = b.rolledLoop(b.constant(0), b.constant(stages), 1, carried, [&](Value stage, ValueRange carried) {
    Values next = load(b.add(stage, b.constant(division.ahead)));
    b.awaitCopies(kSlots - 2);
    b.barrier(); // the stage is there for all; that before it is no longer read
    Value slot = carried[sumCount], last = b.constant((kSlots - 1) * slotBytes);
    auto isSlot = [&](Value which) { return b.compare(arith::CmpIPredicate::eq, slot, which); };
    rows.ask(b.add(stage, b.constant(kSlots - 1)), b.select(isSlot(b.constant(0)), last, b.sub(slot, b.constant(slotBytes))));
    ValueRange loaded = carried.drop_front(sumCount + 1);
    Values result = multiply(rows, panels, split(loaded.take_front(words)), slot, Sums(carried.take_front(sumCount)));
    result.push_back(b.select(isSlot(last), b.constant(0), b.add(slot, b.constant(slotBytes))));
    llvm::append_range(result, loaded.drop_front(words));
    llvm::append_range(result, next);
    return result;
  });
  b.awaitCopies(0);
  b.barrier(); // what comes next may write to shared memory
  return Sums(ValueRange(carried).take_front(sumCount));
}

TileLinear::Sums TileLinear::multiply(StagedRows &rows, ArrayRef<std::unique_ptr<TilePanel>> panels, ArrayRef<Values> loaded, Value slot, Sums sums) {
  auto chunkOf = [&](auto choose) {
    SmallVector<TilePanel::Chunk> chunks;
    for (auto [panel, words] : llvm::zip(panels, loaded))
      chunks.push_back(choose(*panel, words));
    return chunks;
  };
  if (kernel.getArithmetic() == Arithmetic::bf16) {
    for (int64_t chunk = 0; chunk < division.chunks; ++chunk)
      multiplyBf16(rows, chunkOf([&](TilePanel &panel, ValueRange words) { return panel.chunk(words, chunk); }), chunk, slot, sums);
    return sums;
  }
  // A loop: in one piece ptxas would run out of registers for what it begins early.
  return b.rolledLoop(b.constant(0), b.constant(division.chunks), 1, sums, [&](Value chunk, ValueRange carried) {
    Sums result(carried);
    auto choose = [&](TilePanel &panel, ValueRange words) { return panel.chunk(panel.choose(words, chunk, division.chunks), 0); };
    multiplyInt8(rows, chunkOf(choose), chunk, slot, result);
    return result;
  });
}

void TileLinear::multiplyBf16(StagedRows &rows, ArrayRef<TilePanel::Chunk> panels, int64_t chunk, Value slot, Sums &sums) {
  for (int64_t matrix = 0; matrix < division.matrices(); ++matrix) {
    Four x = rows.operands(slot, b.constant(chunk), matrix * kColumns);
    for (size_t step = 0; step < 2; ++step)
      for (auto [i, panel] : llvm::enumerate(panels)) {
        Value *to = &sums[(i * size_t(division.matrices()) + size_t(matrix)) * 4];
        Four result = b.mmaBf16(panel.a[step], {x[2 * step], x[2 * step + 1]}, {to[0], to[1], to[2], to[3]});
        llvm::copy(result, to);
      }
  }
}

void TileLinear::multiplyInt8(StagedRows &rows, ArrayRef<TilePanel::Chunk> panels, Value chunk, Value slot, Sums &sums) {
  for (int64_t pair = 0; pair < division.matrices(); pair += 2) {
    Four x = rows.operands(slot, chunk, pair * kColumns);
    for (int64_t matrix = pair; matrix < pair + 2; ++matrix)
      for (auto [i, panel] : llvm::enumerate(panels)) {
        size_t half = size_t(matrix - pair);
        MutableArrayRef<Value> to = MutableArrayRef<Value>(sums).slice((i * size_t(division.matrices()) + size_t(matrix)) * 4, 4);
        addGroups(rows, panel, chunk, matrix * kColumns, slot, {x[2 * half], x[2 * half + 1]}, to);
      }
  }
}

// sums += float(dot of a group) * row's scale * weight's scale - row's scale * float(sum of the row) * minimum.
void TileLinear::addGroups(StagedRows &rows, const TilePanel::Chunk &panel, Value chunk, int64_t row, Value slot, std::array<Value, 2> operand,
                           MutableArrayRef<Value> sums) {
  std::array<Value, 2> scales = rows.scales(slot, chunk, row);
  Value start = b.constant(b.getI32Type(), kInt8AsFloat), offset = b.constant(b.getF32Type(), -12582912.0);
  const Four &a = panel.a[0];
  size_t groups = panel.scales.size();
  for (size_t group = 0; group < groups; ++group) {
    Four dots = groups == 1 ? b.mmaInt8(a, operand, {start, start, start, start})
                            : b.mmaInt8Half({a[2 * group], a[2 * group + 1]}, operand[group], {start, start, start, start});
    for (size_t i = 0; i < 4; ++i) {
      Value dot = b.add(b.bitcast(dots[i], b.getF32Type()), offset);
      sums[i] = b.fma(b.mul(dot, scales[i % 2]), panel.scales[group][i / 2], sums[i]);
    }
    if (panel.minima.empty())
      continue;
    std::array<Value, 2> ofRow = groups == 1 ? rows.scaledSums(slot, chunk, row) : rows.halfSumsOf(slot, int64_t(group), chunk, row);
    for (size_t i = 0; i < 2; ++i) {
      if (groups == 2) // integers
        ofRow[i] = b.mul(b.toFloat(b.bitcast(ofRow[i], b.getI32Type())), scales[i]);
      ofRow[i] = arith::NegFOp::create(b, ofRow[i]);
    }
    for (size_t i = 0; i < 4; ++i)
      sums[i] = b.fma(ofRow[i % 2], panel.minima[group][i / 2], sums[i]);
  }
}

// The warps' sums over their shares of the inputs: [warp][sum][lane] in shared memory. A warp adds up and finishes one matrix.
void TileLinear::addParts(const Sums &sums, unsigned weight, Value panel, Value firstRow) {
  Value own = b.at(b.at(shared, b.warp(), sumsOf() * kWarp * 4), b.lane(), 4);
  for (auto [i, sum] : llvm::enumerate(sums))
    b.store(sum, b.at(own, int64_t(i) * kWarp * 4), 4);
  b.barrier();
  b.onlyIf(b.compare(arith::CmpIPredicate::slt, b.warp(), b.constant(division.matrices())), [&] {
    SmallVector<Values> ofPanels;
    for (int64_t i = 0; i < division.panels; ++i) {
      Value from = b.at(b.at(b.at(shared, i * division.matrices() * 4 * kWarp * 4), b.warp(), 4 * kWarp * 4), b.lane(), 4);
      Values four;
      for (int64_t value = 0; value < 4; ++value) {
        Value sum;
        for (int64_t part = 0; part < division.inputParts; ++part) {
          Value other = b.load(b.getF32Type(), b.at(from, (part * sumsOf() + value) * kWarp * 4), 4);
          sum = sum ? b.add(sum, other) : other;
        }
        four.push_back(sum);
      }
      ofPanels.push_back(four);
    }
    finish(ofPanels, weight, panel, b.add(firstRow, b.mul(b.warp(), b.constant(kColumns))));
  });
  b.barrier(); // the next rows of x come to the same memory
}

//===----------------------------------------------------------------------===//
// The epilogue
//===----------------------------------------------------------------------===//

void TileLinear::finish(ArrayRef<Values> sums, unsigned weight, Value panel, Value row) {
  auto biased = [&](size_t i, unsigned weight, Value panel) {
    Value values = vector::FromElementsOp::create(b, b.floats(4), ArrayRef<Value>(sums[i]));
    return biases.empty() ? values : b.add(values, biasOf(weight, panel));
  };
  if (kernel.getGlu())
    return write(activated(biased(0, 0, panel), [&] { return biased(1, 1, panel); }), weight, panel, row);
  for (size_t i = 0; i < sums.size(); ++i) {
    Value index = b.add(panel, b.constant(int64_t(i)));
    if (i == 0)
      write(activated(biased(i, weight, index), [] { return Value(); }), weight, index, row);
    else
      b.onlyIf(b.compare(arith::CmpIPredicate::slt, index, end), [&] { write(activated(biased(i, weight, index), [] { return Value(); }), weight, index, row); });
  }
}

Value TileLinear::fourOf(llvm::function_ref<Value(int64_t, int64_t)> one) {
  Values four;
  for (int64_t output = 0; output < 2; ++output)
    for (int64_t row = 0; row < 2; ++row)
      four.push_back(one(output, row));
  return vector::FromElementsOp::create(b, b.floats(4), four);
}

Value TileLinear::biasOf(unsigned weight, Value panel) {
  Values two = b.elements(b.load(b.floats(2), b.at(b.at(b.global(biases[weight]), panel, 64), b.shiftRight(b.lane(), 2), 8), 4));
  return fourOf([&](int64_t output, int64_t) { return two[size_t(output)]; });
}

Value TileLinear::residualOf(unsigned weight, Value output, Value row) {
  return fourOf([&](int64_t nextOutput, int64_t nextRow) {
    Value column = b.minimum(b.add(output, b.constant(nextOutput)), b.constant(outputs(weight) - 1));
    Value line = b.minimum(b.add(row, b.constant(nextRow)), b.sub(tokens, b.constant(1)));
    return b.load(b.getF32Type(), b.at(b.at(b.global(residual), line, outputs(weight) * 4), column, 4), 4);
  });
}

// The lane's two rows that there are.
void TileLinear::eachRow(Value row, llvm::function_ref<void(size_t, Value)> body) {
  for (size_t which = 0; which < 2; ++which) {
    Value own = b.add(row, b.constant(int64_t(which)));
    b.onlyIf(b.compare(arith::CmpIPredicate::slt, own, tokens), [&] { body(which, own); });
  }
}

void TileLinear::write(Value values, unsigned weight, Value panel, Value row) {
  Value output = b.add(b.mul(panel, b.constant(tile::kPanelOutputs)), b.mul(b.shiftRight(b.lane(), 2), b.constant(2)));
  row = b.add(row, b.mul(b.bitAnd(b.lane(), 3), b.constant(2)));
  if (residual)
    values = b.add(values, residualOf(weight, output, row));
  values = limited(values);
  if (kernel.getResults() == tile::Results::keys)
    return writeKeys(values, panel, output, row);
  writeRows(b.elements(values), weight, output, row);
}

void TileLinear::writeRows(ArrayRef<Value> four, unsigned weight, Value output, Value row) {
  bool isPanel = kernel.getResults() == tile::Results::panel;
  int64_t count = outputs(weight), stride = isPanel ? tile::kPanelOutputs : count;
  Value column = isPanel ? b.mul(b.shiftRight(b.lane(), 2), b.constant(2)) : output;
  auto exists = [&](int64_t i) { return b.compare(arith::CmpIPredicate::slt, output, b.constant(count - i)); };
  auto valueOf = [&](int64_t i, Value value) {
    return isPanel ? b.select(exists(i), value, b.constant(b.getF32Type(), -std::numeric_limits<double>::infinity())) : value;
  };
  eachRow(row, [&](size_t which, Value row) {
    Value to = b.at(b.at(b.global(results[weight]), row, stride * 4), column, 4);
    Values two{valueOf(0, four[which]), valueOf(1, four[2 + which])};
    auto both = [&] { b.store(vector::FromElementsOp::create(b, b.floats(2), two), to, 8); };
    if (isPanel)
      return both();
    if (count % 2 == 0)
      return b.onlyIf(exists(0), both);
    for (int64_t i = 0; i < 2; ++i)
      b.onlyIf(exists(i), [&] { b.store(two[size_t(i)], b.at(to, 4 * i), 4); });
  });
}

// The greatest of 16 outputs: of two in each of the lanes that have the same rows.
void TileLinear::writeKeys(Value values, Value panel, Value output, Value row) {
  Values keys = b.elements(keysOf(values));
  auto greater = [&](Value x, Value y) -> Value { return arith::MaxSIOp::create(b, x, y); };
  Values ofRows;
  for (size_t which = 0; which < 2; ++which) {
    Value most = b.constant(b.getI32Type(), tile::kGoneKey);
    for (int64_t i = 0; i < 2; ++i) {
      Value exists = b.compare(arith::CmpIPredicate::slt, output, b.constant(outputs(0) - i));
      most = greater(most, b.select(exists, keys[size_t(2 * i) + which], b.constant(b.getI32Type(), tile::kGoneKey)));
    }
    for (int64_t mask = 4; mask < kWarp; mask *= 2)
      most = greater(most, b.shuffleXor(most, mask));
    ofRows.push_back(most);
  }
  b.onlyIf(b.compare(arith::CmpIPredicate::slt, b.lane(), b.constant(4)), [&] {
    eachRow(row, [&](size_t which, Value row) {
      b.store(ofRows[which], b.at(b.at(b.global(results[0]), row, tile::keyRowBytes(outputs(0))), panel, 4), 4);
    });
  });
}

} // namespace

void emitTileLinear(BlockBuilder &b, tile::LinearAttr kernel) { TileLinear(b, kernel).emit(); }

} // namespace llmc::kernels
