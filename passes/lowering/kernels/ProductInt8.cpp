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

class Int8Product {
public:
  Int8Product(KernelBuilder &b, tile::ProductAttr product)
      : b(b), inputs(product.getInputs()), single(product.getSingle()), layout(tile::packedBlock(product.getFormat())),
        dot(DotUnit::create(b, layout)), reader(b, product.getFormat(), dot->parts()), panel(b.argument(0)),
        x(b.argument(1)), tokens(b.argument(2)), out(b.argument(3)), scratch(b.argument(4)) {}

  void emit() { single ? emitSingle() : emitMany(); }

private:
  // The weights of 32 inputs, wherever they lie.
  struct Group {
    llvm::function_ref<Parts(int64_t quad)> quad;                      // prepared for dot->accumulate
    llvm::function_ref<PackedReader::GroupScales(int64_t sub)> scales; // sub: which half, where scales go by 16
  };

  void emitSingle();
  void emitMany();
  void clearRows();
  void unpackBlocks(Value firstBlock, Value blocks);
  void multiplyRows(Value firstRow, Value endRow, int64_t rows, Value firstGroup, Value groups);
  Values multiplyGroup(const Group &group, Value row, int64_t rows, Value index, ValueRange sums);
  Values integerDots(const Group &group, Value row, int64_t rows, Value index, int64_t sub);

  int64_t groupsPerBlock() const { return layout.inputs / 32; }
  int64_t subs() const { return 32 / layout.group; }
  Type vector() { return b.floats(16); }

  // Scratch: quads, then scales, then negated minima.
  static constexpr int64_t kScales = kBlockInputs * 16, kMinima = kScales + kBlockInputs / 16 * 64,
                           kScratch = kMinima + kBlockInputs / 32 * 64;
  friend int64_t llmc::kernels::int8ProductScratchBytes(tile::ProductAttr);

  KernelBuilder &b;
  const int64_t inputs;
  const bool single;
  const tile::PackedBlock layout;
  std::unique_ptr<DotUnit> dot;
  PackedReader reader;
  Value panel, x, tokens, out, scratch;
};

// Exact integers of `rows` rows for one group of scales: i32 [16] each.
Values Int8Product::integerDots(const Group &group, Value row, int64_t rows, Value index, int64_t sub) {
  int64_t quads = layout.group / 4, rowBytes = tile::int8RowBytes(inputs);
  Values totals(rows);
  llvm::SmallVector<Parts> sums(rows);
  auto flush = [&] {
    for (int64_t r = 0; r < rows; ++r) {
      Value sum = dot->finish(sums[r]);
      totals[r] = totals[r] ? b.add(totals[r], sum) : sum;
      sums[r].clear();
    }
  };
  if (dot->zero())
    for (int64_t r = 0; r < rows; ++r) {
      int64_t offset = layout.group == 32 ? tile::int8SumsOffset(inputs) : tile::int8HalfSumsOffset(inputs) + 4 * sub;
      Value sum = b.loadBroadcast(b.words(16), b.getI32Type(), b.at(row, index, 128 / layout.group, r * rowBytes + offset));
      Value correction = b.sub(b.constant(b.words(16), 0), b.shiftLeft(sum, llvm::Log2_64(uint64_t(dot->zero()))));
      sums[r] = dot->startAt(correction);
      if (sums[r].empty())
        totals[r] = correction;
    }
  for (int64_t q = 0; q < quads; ++q) {
    int64_t quad = sub * quads + q;
    Parts weights = group.quad(quad);
    for (int64_t r = 0; r < rows; ++r)
      dot->accumulate(sums[r], weights, dot->activations(b.at(row, index, 32, r * rowBytes + 4 * quad)));
    if ((q + 1) % dot->quadsPerSum() == 0)
      flush();
  }
  if (!sums[0].empty())
    flush();
  return totals;
}

// Adds the products of 32 inputs (group `index` of the row) to the sums of `rows` rows.
Values Int8Product::multiplyGroup(const Group &group, Value row, int64_t rows, Value index, ValueRange sums) {
  Values result(sums.begin(), sums.end());
  int64_t rowBytes = tile::int8RowBytes(inputs);
  for (int64_t sub = 0; sub < subs(); ++sub) {
    Values dots = integerDots(group, row, rows, index, sub);
    PackedReader::GroupScales scales = group.scales(sub);
    for (int64_t r = 0; r < rows; ++r) {
      auto activation = [&](int64_t offset) {
        return b.loadBroadcast(b.floats(16), b.getF32Type(), b.at(row, index, 4, r * rowBytes + offset));
      };
      Value scaled = b.mul(b.toFloat(dots[r]), activation(tile::int8ScalesOffset(inputs)));
      result[r] = b.fma(scaled, scales.scale, result[r]);
      if (scales.minimum) // negated
        result[r] = b.fma(scales.minimum, activation(tile::int8ScaledSumsOffset(inputs)), result[r]);
    }
  }
  return result;
}

// Streams the panel once, unpacking in registers.
void Int8Product::emitSingle() {
  Value zero = b.constant(0), start = b.constant(vector(), 0.0);
  auto blockBody = [&](Value block, ValueRange sums) {
    Value data = b.at(panel, block, layout.blockBytes());
    PackedReader::BlockScales blockScales = reader.blockScales(data);
    auto groupBody = [&](Value group, ValueRange sums) {
      Value quants = reader.quants(data, group);
      auto quad = [&](int64_t quad) {
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
      return multiplyGroup({quad, scales}, x, 1, index, sums);
    };
    return b.loop(zero, b.constant(groupsPerBlock()), 1, sums, groupBody);
  };
  Values sums = b.loop(zero, b.constant(inputs / layout.inputs), 1, start, blockBody);
  b.store(sums[0], out, 4);
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
          b.store(arith::NegFOp::create(b, minimum), b.at(scratch, index, 64, kMinima), 64);
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
      auto quad = [&](int64_t quad) {
        Parts parts;
        int64_t bytes = tile::kQuadBytes / dot->parts();
        for (int64_t part = 0; part < dot->parts(); ++part)
          parts.push_back(b.load(b.bytes(bytes), b.at(scratch, group, 512, quad * tile::kQuadBytes + part * bytes), 32));
        return parts;
      };
      auto scales = [&](int64_t sub) {
        PackedReader::GroupScales result;
        result.scale = b.load(vector(), b.at(scratch, group, 64 * subs(), kScales + 64 * sub), 64);
        if (layout.minima)
          result.minimum = b.load(vector(), b.at(scratch, group, 64, kMinima), 64);
        return result;
      };
      return multiplyGroup({quad, scales}, row, rows, b.add(firstGroup, group), sums);
    });
    for (int64_t r = 0; r < rows; ++r)
      b.store(sums[r], b.at(result, 64 * r), 4);
  });
}

void Int8Product::emitMany() {
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

} // namespace

void emitInt8Product(KernelBuilder &b, tile::ProductAttr product) { Int8Product(b, product).emit(); }

int64_t int8ProductScratchBytes(tile::ProductAttr) { return Int8Product::kScratch; }

} // namespace llmc::kernels
