// Products of quantised panels and int8 rows.
//
//   idot[g][n] = sum of (q[k][n] - zero) * x[k] over group g, exact
//   out[n]     = fma(float(idot) * xScale, scale[n], out[n]), then fma(-minimum[n], xScaledSum, out[n]) where there is one
//
// over groups in ascending order from 0. One row and many rows run the same float operations in the same order.
#include "passes/lowering/kernels/DotUnit.h"
#include "passes/lowering/kernels/Emitters.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

// Inputs whose weights lie unpacked in scratch while all rows pass: bytes and scales fit in L1.
constexpr int64_t kBlockInputs = 512;
// How far ahead of their use weights that are streamed are asked for, by one row and by several, which take longer over them.
// Measured with a 1B model in Q4_0: one row, Zen 3 and Zen 5, 2048 to 4096 bytes are best; 16 rows, Zen 5, 4096 to 16384 bytes give
// 420 tokens/s, 2048 bytes 320. Reaches into the next panel; beyond the last one nothing happens.
constexpr int64_t kPrefetchBytes = 4096, kPrefetchBytesOfRows = 8192;
// Rows that share a pass over a panel which is unpacked in registers, and up to how many rows that is done.
constexpr int64_t kStreamedRows = 8, kMostStreamed = 64;

class Int8Product {
public:
  Int8Product(KernelBuilder &b, tile::ProductAttr product)
      : b(b), inputs(product.getInputs()), single(product.getSingle()), layout(tile::packedBlock(product.getFormat())),
        dot(DotUnit::create(b, layout)), reader(b, product.getFormat(), dot->parts(), dot->bookZero()), panel(b.argument(0)),
        x(b.argument(1)), tokens(b.argument(2)), out(b.argument(3)), scratch(b.argument(4)) {}

  void emit() { single ? stream(b.constant(0), 1) : emitMany(); }

private:
  // The weights of 32 inputs, wherever they lie.
  struct Group {
    // Prepared for dot->accumulate. Which one: `index` (null in straight code) plus `offset`.
    llvm::function_ref<Parts(Value index, int64_t offset)> quad;
    llvm::function_ref<PackedReader::GroupScales(int64_t sub)> scales; // sub: which half, where scales go by 16
  };
  using Sums = llvm::SmallVector<Parts>; // one per row

  void emitMany();
  void stream(Value first, int64_t rows);
  void streamAll(int64_t rows);
  void streamFew();
  void blockMany();
  void clearRows();
  void unpackBlocks(Value firstBlock, Value blocks);
  void multiplyRows(Value firstRow, Value endRow, int64_t rows, Value firstGroup, Value groups);
  Values multiplyGroup(const Group &group, Value row, int64_t rows, Value index, ValueRange sums);
  void accumulate(const Group &group, Value row, Value index, Value quad, int64_t offset, int64_t quads, Sums &sums);
  Values corrections(Value row, int64_t rows, Value index, int64_t sub);
  Values straightDots(const Group &group, Value row, int64_t rows, Value index, int64_t sub);
  Values loopedDots(const Group &group, Value row, int64_t rows, Value index, int64_t sub);
  Sums carriedSums(const Group &group, Value row, int64_t rows, Value index, int64_t first, int64_t quads);

  Value scaledSum(Value row, Value index, int64_t sub);

  int64_t groupsPerBlock() const { return layout.inputs / 32; }
  int64_t subs() const { return 32 / layout.group; }
  VectorType vector() { return b.floats(16); }

  // Scratch: quads, then scales, then negated minima.
  static constexpr int64_t kScales = kBlockInputs * 16, kMinima = kScales + kBlockInputs / 16 * 64,
                           kScratch = kMinima + kBlockInputs / 16 * 64;
  friend int64_t llmc::kernels::int8ProductScratchBytes(tile::ProductAttr);

  KernelBuilder &b;
  const int64_t inputs;
  const bool single;
  const tile::PackedBlock layout;
  std::unique_ptr<DotUnit> dot;
  PackedReader reader;
  Value panel, x, tokens, out, scratch;
};

// Adds the products of quads `quad` + `offset` … of group `index` to a partial sum per row.
void Int8Product::accumulate(const Group &group, Value row, Value index, Value quad, int64_t offset, int64_t quads, Sums &sums) {
  int64_t rowBytes = tile::int8RowBytes(inputs);
  Value x = b.at(row, index, 32);
  if (quad)
    x = b.at(x, quad, 4);
  for (int64_t q = offset; q < offset + quads; ++q) {
    Parts weights = group.quad(quad, q);
    for (auto [r, sum] : llvm::enumerate(sums))
      dot->accumulate(sum, weights, dot->activations(b.at(x, int64_t(r) * rowBytes + 4 * q)));
  }
}

// What the zero point adds to the integers of each row; nulls if there is none.
Values Int8Product::corrections(Value row, int64_t rows, Value index, int64_t sub) {
  Values result(rows);
  int64_t offset = layout.group == 32 ? tile::int8SumsOffset(inputs) : tile::int8HalfSumsOffset(inputs) + 4 * sub;
  for (int64_t r = 0; r < rows && dot->zero(); ++r)
    result[r] = dot->correction(b.at(row, index, 128 / layout.group, r * tile::int8RowBytes(inputs) + offset));
  return result;
}

// Exact integers of `rows` rows for one group of scales: i32 [16] each.
Values Int8Product::straightDots(const Group &group, Value row, int64_t rows, Value index, int64_t sub) {
  int64_t quads = layout.group / 4, sumQuads = std::min(quads, dot->quadsPerSum());
  Values totals = corrections(row, rows, index, sub);
  Sums sums(rows);
  for (int64_t r = 0; r < rows && dot->zero(); ++r)
    if (sums[r] = dot->startAt(totals[r]); !sums[r].empty())
      totals[r] = Value();
  for (int64_t first = sub * quads; first < (sub + 1) * quads; first += sumQuads) {
    accumulate(group, row, index, Value(), first, sumQuads, sums);
    for (int64_t r = 0; r < rows; ++r) {
      Value sum = dot->finish(sums[r]);
      totals[r] = totals[r] ? b.add(totals[r], sum) : sum;
      sums[r].clear();
    }
  }
  return totals;
}

// Partial sums of `quads` quads from `first` on, two at a time.
Int8Product::Sums Int8Product::carriedSums(const Group &group, Value row, int64_t rows, Value index, int64_t first, int64_t quads) {
  Values carried;
  for (int64_t r = 0; r < rows; ++r)
    llvm::append_range(carried, dot->zeroSum());
  auto split = [&](ValueRange parts) {
    Sums sums;
    for (int64_t r = 0; r < rows; ++r)
      sums.emplace_back(parts.slice(r * dot->parts(), dot->parts()));
    return sums;
  };
  carried = b.rolledLoop(b.constant(first), b.constant(first + quads), 2, carried, [&](Value quad, ValueRange parts) {
    Sums sums = split(parts);
    accumulate(group, row, index, quad, 0, 2, sums);
    Values next;
    for (const Parts &sum : sums)
      llvm::append_range(next, sum);
    return next;
  });
  return split(carried);
}

// The same as straightDots, in loops small enough for 16 registers.
Values Int8Product::loopedDots(const Group &group, Value row, int64_t rows, Value index, int64_t sub) {
  int64_t quads = layout.group / 4, sumQuads = std::min(quads, dot->quadsPerSum()), first = sub * quads;
  Values totals;
  auto addFinished = [&](const Sums &sums) {
    for (int64_t r = 0; r < rows; ++r) {
      Value sum = dot->finish(sums[r]);
      totals[r] = totals[r] ? b.add(totals[r], sum) : sum;
    }
  };
  if (sumQuads >= 4) {
    llvm::SmallVector<Sums> parts;
    for (int64_t quad = first; quad < first + quads; quad += sumQuads)
      parts.push_back(carriedSums(group, row, rows, index, quad, sumQuads));
    totals = corrections(row, rows, index, sub); // after the loops: what they do not carry they do not spill
    llvm::for_each(parts, addFinished);
    return totals;
  }
  totals = corrections(row, rows, index, sub);
  for (Value &total : totals)
    total = total ? total : b.constant(b.words(16), 0);
  return b.rolledLoop(b.constant(first), b.constant(first + quads), sumQuads, totals, [&](Value quad, ValueRange carried) {
    Sums sums(rows);
    accumulate(group, row, index, quad, 0, sumQuads, sums);
    totals.assign(carried.begin(), carried.end());
    addFinished(sums);
    return totals;
  });
}

// Adds the products of 32 inputs (group `index` of the row) to the sums of `rows` rows.
Values Int8Product::multiplyGroup(const Group &group, Value row, int64_t rows, Value index, ValueRange sums) {
  Values result(sums.begin(), sums.end());
  int64_t rowBytes = tile::int8RowBytes(inputs);
  for (int64_t sub = 0; sub < subs(); ++sub) {
    bool looped = rows > 1 && b.target.getDot() == tile::Dot::avx2;
    Values dots = looped ? loopedDots(group, row, rows, index, sub) : straightDots(group, row, rows, index, sub);
    PackedReader::GroupScales scales = group.scales(sub);
    for (int64_t r = 0; r < rows; ++r) {
      auto activation = [&](int64_t offset) {
        return b.loadBroadcast(b.floats(16), b.getF32Type(), b.at(row, index, 4, r * rowBytes + offset));
      };
      Value scaled = b.mul(b.toFloat(dots[r]), activation(tile::int8ScalesOffset(inputs)));
      result[r] = b.fma(scaled, scales.scale, result[r]);
      if (scales.minimum) // negated
        result[r] = b.fma(scales.minimum, scaledSum(b.at(row, r * rowBytes), index, sub), result[r]);
    }
  }
  return result;
}

// The scale of activations times the sum of a group's; of groups of 16 the row has only the sum.
Value Int8Product::scaledSum(Value row, Value index, int64_t sub) {
  if (layout.group == 32)
    return b.loadBroadcast(vector(), b.getF32Type(), b.at(row, index, 4, tile::int8ScaledSumsOffset(inputs)));
  Value sum = b.loadBroadcast(b.words(16), b.getI32Type(), b.at(row, index, 8, tile::int8HalfSumsOffset(inputs) + 4 * sub));
  return b.mul(b.toFloat(sum), b.loadBroadcast(vector(), b.getF32Type(), b.at(row, index, 4, tile::int8ScalesOffset(inputs))));
}

// Streams the panel once, unpacking in registers: `rows` rows from `first` on.
void Int8Product::stream(Value first, int64_t rows) {
  Value zero = b.constant(0), row = b.at(x, first, tile::int8RowBytes(inputs));
  Values start(rows, b.constant(vector(), 0.0));
  auto blockBody = [&](Value block, ValueRange sums) {
    Value data = b.at(panel, block, layout.blockBytes());
    PackedReader::BlockScales blockScales = reader.blockScales(data);
    auto groupBody = [&](Value group, ValueRange sums) {
      Value quants = reader.quants(data, group);
      for (int64_t line = 0; line < layout.quantBytes() + 32; line += 64)
        b.prefetch(b.at(quants, (rows > 1 ? kPrefetchBytesOfRows : kPrefetchBytes) + line));
      auto quad = [&](Value, int64_t quad) {
        Parts parts = reader.quad(quants, quad);
        for (Value &part : parts)
          part = dot->prepare(part);
        return parts;
      };
      auto scales = [&](int64_t sub) {
        Value index = b.add(b.mul(group, b.constant(subs())), b.constant(sub));
        auto [scale, minimum] = reader.groupScales(data, blockScales, index);
        return PackedReader::GroupScales{scale, minimum ? arith::NegFOp::create(b, minimum).getResult() : minimum};
      };
      Value index = b.add(b.mul(block, b.constant(groupsPerBlock())), group);
      return multiplyGroup({quad, scales}, row, rows, index, sums);
    };
    return b.loop(zero, b.constant(groupsPerBlock()), 1, sums, groupBody);
  };
  Values sums = b.loop(zero, b.constant(inputs / layout.inputs), 1, start, blockBody);
  for (auto [r, sum] : llvm::enumerate(sums))
    b.store(sum, b.at(b.at(out, first, 64), 64 * int64_t(r)), 4);
}

void Int8Product::clearRows() {
  b.loop(b.constant(0), tokens, 1, [&](Value row) { b.store(b.constant(vector(), 0.0), b.at(out, row, 64), 4); });
}

// Unpacks `blocks` packed blocks to scratch.
void Int8Product::unpackBlocks(Value firstBlock, Value blocks) {
  Value zero = b.constant(0);
  b.loop(zero, blocks, 1, [&](Value block) {
    Value data = b.at(panel, b.add(firstBlock, block), layout.blockBytes());
    PackedReader::BlockScales blockScales = reader.blockScales(data);
    b.loop(zero, b.constant(groupsPerBlock()), 1, [&](Value group) {
      Value index = b.add(b.mul(block, b.constant(groupsPerBlock())), group), quants = reader.quants(data, group);
      for (int64_t quad = 0; quad < 8; ++quad) {
        Parts parts = reader.quad(quants, quad);
        for (auto [i, part] : llvm::enumerate(parts)) {
          int64_t offset = quad * tile::kQuadBytes + int64_t(i) * tile::kQuadBytes / dot->parts();
          b.store(dot->prepare(part), b.at(scratch, index, 8 * tile::kQuadBytes, offset), 32);
        }
      }
      for (int64_t sub = 0; sub < subs(); ++sub) {
        Value subGroup = b.add(b.mul(group, b.constant(subs())), b.constant(sub));
        auto [scale, minimum] = reader.groupScales(data, blockScales, subGroup);
        b.store(scale, b.at(scratch, index, 64 * subs(), kScales + 64 * sub), 64);
        if (minimum)
          b.store(arith::NegFOp::create(b, minimum), b.at(scratch, index, 64 * subs(), kMinima + 64 * sub), 64);
      }
    });
  });
}

// Adds the products of the unpacked groups to `rows` rows at a time of [firstRow, endRow).
void Int8Product::multiplyRows(Value firstRow, Value endRow, int64_t rows, Value firstGroup, Value groups) {
  b.loop(firstRow, endRow, rows, [&](Value first) {
    Value row = b.at(x, first, tile::int8RowBytes(inputs)), result = b.at(out, first, 64);
    Values sums;
    for (int64_t r = 0; r < rows; ++r)
      sums.push_back(b.load(vector(), b.at(result, 64 * r), 4));
    sums = b.loop(b.constant(0), groups, 1, sums, [&](Value group, ValueRange sums) {
      Value weights = b.at(scratch, group, 8 * tile::kQuadBytes);
      auto quad = [&](Value index, int64_t offset) {
        Parts parts;
        int64_t bytes = tile::kQuadBytes / dot->parts();
        Value from = index ? b.at(weights, index, tile::kQuadBytes) : weights;
        for (int64_t part = 0; part < dot->parts(); ++part)
          parts.push_back(b.load(b.bytes(bytes), b.at(from, offset * tile::kQuadBytes + part * bytes), 32));
        return parts;
      };
      auto scales = [&](int64_t sub) {
        PackedReader::GroupScales result;
        result.scale = b.load(vector(), b.at(scratch, group, 64 * subs(), kScales + 64 * sub), 64);
        if (layout.minima)
          result.minimum = b.load(vector(), b.at(scratch, group, 64 * subs(), kMinima + 64 * sub), 64);
        return result;
      };
      return multiplyGroup({quad, scales}, row, rows, b.add(firstGroup, group), sums);
    });
    for (int64_t r = 0; r < rows; ++r)
      b.store(sums[r], b.at(result, 64 * r), 4);
  });
}

// All rows, `rows` at a time; there are at least as many. The last ones overlap those before and come out the same again, which
// costs less than passes of fewer rows.
void Int8Product::streamAll(int64_t rows) {
  Value last = b.sub(tokens, b.constant(rows));
  b.loop(b.constant(0), tokens, rows, [&](Value first) { stream(b.minimum(first, last), rows); });
}

// A few rows: the panel is streamed once for all of them, or once for each eight.
void Int8Product::streamFew() {
  auto emit = [&](auto &self, int64_t rows) -> void {
    if (rows == 1)
      return streamAll(1);
    Value enough = b.compare(arith::CmpIPredicate::sge, tokens, b.constant(rows));
    auto branch = scf::IfOp::create(b, enough, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(branch.thenYield());
    streamAll(rows);
    b.setInsertionPoint(branch.elseYield());
    self(self, rows / 2);
  };
  emit(emit, kStreamedRows);
}

// Many rows: blocks of the panel are unpacked to scratch, where all rows find them.
void Int8Product::blockMany() {
  // Registers: per row a partial sum and a float sum of 16 lanes each, beside weights and activations.
  int64_t rows = b.target.getDot() == tile::Dot::vnni ? 8 : b.target.getDot() == tile::Dot::avx2 ? 3 : 1;
  int64_t blocks = inputs / layout.inputs, step = kBlockInputs / layout.inputs;
  clearRows();
  b.loop(b.constant(0), b.constant(blocks), step, [&](Value firstBlock) {
    Value count = b.minimum(b.constant(step), b.sub(b.constant(blocks), firstBlock));
    unpackBlocks(firstBlock, count);
    Value firstGroup = b.mul(firstBlock, b.constant(groupsPerBlock())), groups = b.mul(count, b.constant(groupsPerBlock()));
    Value blocked = b.multipleBelow(tokens, rows);
    multiplyRows(b.constant(0), blocked, rows, firstGroup, groups);
    if (rows > 1)
      multiplyRows(blocked, tokens, 1, firstGroup, groups);
  });
}

void Int8Product::emitMany() {
  if (b.target.getDot() != tile::Dot::vnni) // too few registers
    return blockMany();
  Value few = b.compare(arith::CmpIPredicate::sle, tokens, b.constant(kMostStreamed));
  auto branch = scf::IfOp::create(b, few, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(branch.thenYield());
  streamFew();
  b.setInsertionPoint(branch.elseYield());
  blockMany();
}

} // namespace

void emitInt8Product(KernelBuilder &b, tile::ProductAttr product) { Int8Product(b, product).emit(); }

int64_t int8ProductScratchBytes(tile::ProductAttr) { return Int8Product::kScratch; }

} // namespace llmc::kernels
