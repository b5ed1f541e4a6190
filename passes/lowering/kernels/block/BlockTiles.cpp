#include "passes/lowering/kernels/block/BlockTiles.h"

#include "passes/lowering/kernels/block/BlockPanels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using llmc::llm::Format;
using llmc::tile::Arithmetic;

namespace llmc::kernels {
namespace {

//===----------------------------------------------------------------------===//
// Panels of bf16 and f16, for products of bf16
//===----------------------------------------------------------------------===//

// A chunk is 16 pairs of inputs; a lane has the pairs t, t + 4, t + 8, t + 12.
class HalfTiles : public TilePanel {
public:
  HalfTiles(BlockBuilder &b, Format format, int64_t inputs, Value panel) : TilePanel(b, panel, inputs), isBf16(format == Format::bf16) { words = 8; }

  Values load(Value first, int64_t count) override {
    Values loaded;
    if (isWhole())
      first = b.minimum(first, b.constant(chunks - count)); // loops ask for some ahead
    for (int64_t pair = 0; pair < 4 * count; ++pair)
      llvm::append_range(loaded, isBf16 ? pairOfOutputs(first, pair * 4) : pairOfRows(first, pair * 4));
    return loaded;
  }

  Chunk chunk(ValueRange loaded, int64_t index) override {
    Chunk result;
    for (size_t step = 0; step < 2; ++step) {
      ValueRange words = loaded.slice(size_t(index) * 8 + step * 4, 4);
      auto [a0, a1] = pairs(words[0], words[1]);
      auto [a2, a3] = pairs(words[2], words[3]);
      result.a.push_back({a0, a1, a2, a3});
    }
    return result;
  }

private:
  // Of what lies `on` units beyond the lane's own of chunk `first`: the unit's number, where the panel ends before its chunk does.
  Value unit(Value first, int64_t ofChunk, Value own, int64_t on, int64_t units) {
    Value number = b.add(b.add(b.mul(first, b.constant(ofChunk)), own), b.constant(on));
    return b.minimum(number, b.constant(units - 1));
  }
  bool isWhole() const { return inputs % 128 == 0; }

  // bf16 is [pair][16 outputs][2]: a word of each of the lane's outputs.
  Values pairOfOutputs(Value first, int64_t on) {
    Value base = b.at(panel, row, 8);
    if (isWhole())
      return b.loadWords(2, b.at(b.at(base, word, 64), first, 16 * 64, on * 64));
    return b.loadWords(2, b.at(base, unit(first, 16, word, on, (inputs + 1) / 2), 64));
  }
  // f16 is [input][16 outputs]: for both inputs of the pair a word of both outputs.
  Values pairOfRows(Value first, int64_t on) {
    Value base = b.at(panel, row, 4), own = b.mul(word, b.constant(2));
    Values both;
    for (int64_t i = 0; i < 2; ++i)
      both.append(b.loadWords(1, isWhole() ? b.at(b.at(base, own, 32), first, 32 * 32, (2 * on + i) * 32)
                                           : b.at(base, unit(first, 32, own, 2 * on + i, inputs), 32)));
    return both;
  }

  // Pairs of inputs of the lane's two outputs.
  std::array<Value, 2> pairs(Value first, Value second) {
    if (isBf16)
      return {first, second};
    std::array<Value, 2> even = b.fromHalves(first), odd = b.fromHalves(second), result;
    for (size_t output = 0; output < 2; ++output) {
      Value low = b.bitcast(b.roundToBf16(even[output]), b.getI32Type()), high = b.bitcast(b.roundToBf16(odd[output]), b.getI32Type());
      result[output] = b.pickBytes(low, high, b.constant(b.getI32Type(), 0x7632));
    }
    return result;
  }

  const bool isBf16;
};

//===----------------------------------------------------------------------===//
// Quantised panels, for products of int8
//===----------------------------------------------------------------------===//

// A chunk is eight quads; a lane has quads t and t + 4.
class QuantTiles : public TilePanel {
public:
  QuantTiles(BlockBuilder &b, Format format, int64_t inputs, Value panel) : TilePanel(b, panel, inputs), layout(tile::packedBlock(format)) {
    ofScales = layout.superBlock ? 0 : 1 + layout.minima;
    ofCodes = layout.superBlock ? subs() + (layout.minima && !layout.nibbleScales ? subs() : 0) : 0;
    words = ofQuants() + ofScales + ofCodes;
    sharedWords = layout.superBlock ? 1 + layout.minima : 0;
  }

  Values load(Value first, int64_t count) override;
  Chunk chunk(ValueRange loaded, int64_t index) override;

private:
  int64_t subs() const { return 32 / layout.group; } // groups of scales of a chunk
  int64_t ofQuants() const { return layout.bytes || layout.lowBits == 2 ? 4 + (layout.bytes ? 0 : 2 * layout.upperBits) : 2 + 2 * layout.upperBits; }

  void loadQuants(Values &loaded, Value quants);
  void loadCodes(Values &loaded, Value block, Value ofBlock);
  void loadScales(Values &loaded, Value block);
  BlockBuilder::Four quadsOf(ArrayRef<Value> words);
  void scalesOf(Chunk &chunk, ArrayRef<Value> scales, ArrayRef<Value> codes);
  std::array<Value, 2> numbers(Value codes, bool isSigned);
  Value shifted(Value value, int64_t bitsOfWord, int64_t more) {
    Value by = b.truncate(b.add(b.mul(word, b.constant(bitsOfWord)), b.constant(more)), b.getI32Type());
    return arith::ShRUIOp::create(b, value, by);
  }

  const tile::PackedBlock layout;
  int64_t ofScales, ofCodes; // words of a chunk
};

// First what the chunks of a super-block share, which all of these lie in.
Values QuantTiles::load(Value first, int64_t count) {
  Values loaded;
  if (!layout.superBlock) {
    bool isWhole = chunks % count == 0;
    if (isWhole)
      first = b.minimum(first, b.constant(chunks - count));
    for (int64_t i = 0; i < count; ++i) {
      Value index = isWhole ? first : b.minimum(b.add(first, b.constant(i)), b.constant(chunks - 1));
      Value block = b.at(panel, index, layout.blockBytes(), isWhole ? i * layout.blockBytes() : 0);
      loadQuants(loaded, b.at(block, layout.quantsOffset));
      loadScales(loaded, block);
    }
    return loaded;
  }
  first = b.minimum(first, b.constant(chunks - count));
  Value block = b.at(panel, b.shiftRight(first, 3), layout.blockBytes()), ofBlock = b.bitAnd(first, 7);
  loadScales(loaded, block);
  Value quants = b.at(block, ofBlock, layout.quantBytes(), layout.quantsOffset);
  for (int64_t i = 0; i < count; ++i) {
    loadQuants(loaded, b.at(quants, i * layout.quantBytes()));
    loadCodes(loaded, block, b.add(ofBlock, b.constant(i)));
  }
  return loaded;
}

void QuantTiles::loadScales(Values &loaded, Value block) {
  llvm::append_range(loaded, b.loadWords(1, b.at(block, row, 4)));
  if (layout.minima)
    llvm::append_range(loaded, b.loadWords(1, b.at(block, row, 4, 32)));
}

// Codes of the lane's two outputs are two bytes.
void QuantTiles::loadCodes(Values &loaded, Value block, Value ofBlock) {
  Value codes = b.at(b.at(block, ofBlock, 16 * subs()), row, 2);
  auto load = [&](int64_t offset) { loaded.push_back(b.extendUnsigned(b.load(b.getI16Type(), b.at(codes, offset), 2), b.getI32Type())); };
  for (int64_t sub = 0; sub < subs(); ++sub)
    load(layout.scalesOffset + 16 * sub);
  for (int64_t sub = 0; sub < subs() && layout.minima && !layout.nibbleScales; ++sub)
    load(layout.minimaOffset + 16 * sub);
}

void QuantTiles::loadQuants(Values &loaded, Value quants) {
  Value own = b.at(quants, row, 8), ofWord = b.at(own, word, tile::kQuadBytes);
  auto load = [&](Value from, int64_t chunk) { llvm::append_range(loaded, b.loadWords(2, b.at(from, chunk * tile::kQuadBytes))); };
  if (layout.bytes)
    return load(ofWord, 0), load(ofWord, 4);
  if (layout.lowBits == 4)
    load(ofWord, 0);
  else
    load(own, 0), load(own, 1);
  for (int64_t chunk = 0; chunk < layout.upperBits; ++chunk)
    load(own, layout.lowBits + chunk);
}

// Quads t of both outputs, then quads t + 4. See dialects/tile/Layout.h.
BlockBuilder::Four QuantTiles::quadsOf(ArrayRef<Value> words) {
  if (layout.bytes)
    return {words[0], words[1], words[2], words[3]};
  BlockBuilder::Four quads;
  ArrayRef<Value> upper = words.drop_front(layout.lowBits == 4 ? 2 : 4);
  for (size_t i = 0; i < 4; ++i) {
    int64_t second = i / 2; // quad t + 4
    size_t output = i % 2;
    Value low = layout.lowBits == 4 ? b.bitAnd(b.shiftRight(words[output], 4 * second), 0x0f0f0f0f) : b.bitAnd(shifted(words[i], 2, 0), 0x03030303);
    if (layout.upperBits == 1)
      low = b.bitOr(low, b.shiftLeft(b.bitAnd(shifted(upper[output], 1, 4 * second), 0x01010101), layout.lowBits));
    if (layout.upperBits == 2)
      low = b.bitOr(low, b.shiftLeft(b.bitAnd(shifted(upper[i], 2, 0), 0x03030303), layout.lowBits));
    if (layout.codeBook)
      low = lookUpBytes(b, *layout.codeBook, low);
    if (layout.zero) // q + 128 - zero carries into no other byte; turning its highest bit takes 128 away
      low = b.bitXor(b.add(low, b.constant(b.getI32Type(), (0x80 - layout.zero) * 0x01010101)), 0x80808080);
    quads[i] = low;
  }
  return quads;
}

std::array<Value, 2> QuantTiles::numbers(Value codes, bool isSigned) {
  std::array<Value, 2> result;
  for (int64_t i = 0; i < 2; ++i)
    result[size_t(i)] = b.toFloat(isSigned ? b.shiftRightArithmetic(b.shiftLeft(codes, 24 - 8 * i), 24) : b.bitAnd(b.shiftRight(codes, 8 * i), 0xff));
  return result;
}

void QuantTiles::scalesOf(Chunk &chunk, ArrayRef<Value> scales, ArrayRef<Value> codes) {
  std::array<Value, 2> d = layout.bf16Scales ? b.fromBf16(scales[0]) : b.fromHalves(scales[0]), dmin;
  if (layout.minima)
    dmin = b.fromHalves(scales[1]);
  auto times = [&](const std::array<Value, 2> &factor, const std::array<Value, 2> &numbers) {
    return std::array<Value, 2>{b.mul(factor[0], numbers[0]), b.mul(factor[1], numbers[1])};
  };
  for (size_t sub = 0; sub < size_t(subs()); ++sub) {
    if (!layout.superBlock) {
      chunk.scales.push_back(d);
      if (layout.minima)
        chunk.minima.push_back(dmin);
      continue;
    }
    Value code = codes[sub];
    chunk.scales.push_back(times(d, numbers(layout.nibbleScales ? b.bitAnd(code, 0x0f0f) : code, layout.signedScales)));
    if (layout.minima)
      chunk.minima.push_back(times(dmin, numbers(layout.nibbleScales ? b.bitAnd(b.shiftRight(code, 4), 0x0f0f) : codes[size_t(subs()) + sub], false)));
  }
}

TilePanel::Chunk QuantTiles::chunk(ValueRange loaded, int64_t index) {
  SmallVector<Value> all(loaded);
  ArrayRef<Value> own = ArrayRef<Value>(all).slice(size_t(sharedWords + index * words), size_t(words));
  ArrayRef<Value> rest = own.drop_front(size_t(ofQuants()));
  Chunk result;
  result.a.push_back(quadsOf(own.take_front(size_t(ofQuants()))));
  scalesOf(result, layout.superBlock ? ArrayRef<Value>(all).take_front(size_t(sharedWords)) : rest.take_front(size_t(ofScales)), rest.drop_front(size_t(ofScales)));
  return result;
}

} // namespace

Values TilePanel::choose(ValueRange loaded, Value index, int64_t count) {
  Values result(loaded.take_front(size_t(sharedWords)));
  for (int64_t word = 0; word < words; ++word) {
    Value chosen = loaded[size_t(sharedWords + word)];
    for (int64_t chunk = 1; chunk < count; ++chunk)
      chosen = b.select(b.compare(arith::CmpIPredicate::eq, index, b.constant(chunk)), loaded[size_t(sharedWords + chunk * words + word)], chosen);
    result.push_back(chosen);
  }
  return result;
}

std::unique_ptr<TilePanel> tilePanel(BlockBuilder &b, Format format, Arithmetic arithmetic, int64_t inputs, Value panel) {
  if (arithmetic == Arithmetic::int8)
    return std::make_unique<QuantTiles>(b, format, inputs, panel);
  return std::make_unique<HalfTiles>(b, format, inputs, panel);
}

} // namespace llmc::kernels
