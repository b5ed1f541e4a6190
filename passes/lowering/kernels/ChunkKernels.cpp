// The recurrence of `scalar` scans a chunk of tokens at a time, by matrix products: inside the chunk a masked, decayed product of outputs
// and inputs is applied to x, the state before the chunk is read by one product and moved on by another. Source: arXiv:2405.21060.
//
// Let u_j be the log2 of token j's decay and cum_i = u_0 + … + u_i. For tokens i of the chunk, with C outputs, B inputs, h the state:
//   y_i = sum_{j <= i} (C_i . B_j) 2^(cum_i - cum_j) step_j x_j + 2^cum_i C_i . h + skip x_i
//   h'  = 2^cum_last h + sum_j 2^(cum_last - cum_j) step_j B_j x_j^T
// No exponent is positive, so nothing overflows however strong the decay.
//
// Products take words of four bytes: an f32, or two consecutive bf16 of the dimension that is summed over, for which one instruction does
// two multiply-adds. C_i . B_j does not depend on the head: `chunk_scores` computes it once for all heads of a group, and packs C and B.
//
// scores: (tokens, groups, chunk) f32; outputs: (tokens, groups, words of states); inputs: (tokens, groups, states): row s + r of a chunk
// that begins at token s holds the words of its r-th token or pair of tokens.
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/Kernels.h"
#include "passes/lowering/kernels/Scan.h"
#include "passes/lowering/kernels/RowMath.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numbers>

using namespace mlir;

namespace llmc::kernels {
namespace {

constexpr int64_t kRows = 4;        // rows of a product that are computed together
constexpr int64_t kPanels = 4;      // with so many panels of columns: 16 sums in registers
constexpr int64_t kLongRun = 12;    // a shorter one takes less time token by token
constexpr int64_t kWordBytes = 4, kVectorBytes = kLanes * kWordBytes;

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Words, and the product of a word in every lane with a vector of words.
struct Words {
  KernelBuilder &b;
  bool bf16;

  int64_t perWord() const { return bf16 ? 2 : 1; }
  int64_t count(int64_t values) const { return ceilDiv(values, perWord()); }

  // The bits of f32 rounded to bf16, in the upper halves. Finite numbers only.
  Value rounded(Value x) {
    Type words = isa<VectorType>(x.getType()) ? Type(b.words(cast<VectorType>(x.getType()).getNumElements())) : b.getI32Type();
    Value bits = b.bitcast(x, words), odd = b.bitAnd(b.shiftRight(bits, 16), 1);
    return b.add(b.add(bits, b.constant(words, 0x7fff)), odd);
  }
  // f32 (or vectors) of consecutive places of the summed dimension to words; `second` is not read unless bf16.
  Value pack(Value first, Value second) {
    if (!bf16)
      return first;
    return b.bitOr(b.shiftRight(rounded(first), 16), b.bitAnd(rounded(second), 0xffff0000));
  }
  Type vector() { return bf16 ? b.words(kLanes) : b.floats(kLanes); }
  Value load(Value pointer) { return b.load(vector(), pointer, 4); }
  Value loadEverywhere(Value pointer) {
    return b.loadBroadcast(cast<VectorType>(vector()), bf16 ? Type(b.getI32Type()) : Type(b.getF32Type()), pointer);
  }
  // sum + the dot products of the words' contents.
  Value dot(Value sum, Value a, Value c) {
    if (!bf16)
      return b.fma(a, c, sum);
    if (b.target.getBf16()) {
      auto pairs = VectorType::get(2 * kLanes, b.getBF16Type());
      return b.intrinsic("llvm.x86.avx512bf16.dpbf16ps.512", sum.getType(), {sum, b.bitcast(a, pairs), b.bitcast(c, pairs)});
    }
    auto low = [&](Value words) { return b.bitcast(b.shiftLeft(words, 16), sum.getType()); };
    auto high = [&](Value words) { return b.bitcast(b.bitAnd(words, 0xffff0000), sum.getType()); };
    return b.fma(high(a), high(c), b.fma(low(a), low(c), sum));
  }
};

using Sums = SmallVector<Values>; // [row][panel]

// sums[r][q] += left(r, k) . right(q, k) for words k in [0, end).
Sums product(Words words, Value end, Sums sums, llvm::function_ref<Value(int64_t, Value)> left, llvm::function_ref<Value(int64_t, Value)> right) {
  KernelBuilder &b = words.b;
  size_t columns = sums[0].size();
  Values flat;
  for (Values &row : sums)
    flat.append(row);
  flat = b.loop(b.constant(0), end, 1, flat, [&](Value k, ValueRange carried) {
    Values next, vectors;
    for (size_t q = 0; q < columns; ++q)
      vectors.push_back(words.load(right(int64_t(q), k)));
    for (size_t r = 0; r < sums.size(); ++r) {
      Value factor = words.loadEverywhere(left(int64_t(r), k));
      for (size_t q = 0; q < columns; ++q)
        next.push_back(words.dot(carried[r * columns + q], factor, vectors[q]));
    }
    return next;
  });
  for (size_t r = 0; r < sums.size(); ++r)
    sums[r].assign(flat.begin() + r * columns, flat.begin() + (r + 1) * columns);
  return sums;
}

// Tokens [start, start + count) of a run; `count` is at most the chunk's length.
struct Chunk {
  Value start, count, last; // last: count - 1
};

Value isLong(KernelBuilder &b, const Run &run) {
  return b.compare(arith::CmpIPredicate::sge, b.sub(run.end, run.start), b.constant(kLongRun));
}

void forChunks(KernelBuilder &b, const Run &run, int64_t length, llvm::function_ref<void(const Chunk &)> body) {
  b.loop(run.start, run.end, length, [&](Value start) {
    Value count = b.minimum(b.sub(run.end, start), b.constant(length));
    body({start, count, b.sub(count, b.constant(1))});
  });
}

Value ceilWords(KernelBuilder &b, Value count, int64_t perWord) {
  return perWord == 1 ? count : b.shiftRight(b.add(count, b.constant(1)), 1);
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

// Scratch: B transposed to (words of states, chunk), and a row that nobody reads.
struct Scores {
  KernelBuilder &b;
  tile::ChunkScoresAttr kernel;
  Words words;
  int64_t states, length;
  Value input, output, scores, inputs, outputs, transposed, nowhere;

  Value rowOf(Value base, Value token, Value group, int64_t wordsOfGroup) {
    int64_t bytes = wordsOfGroup * kWordBytes;
    return b.at(b.at(base, token, kernel.getGroups() * bytes), group, bytes);
  }
  Value value(Value base, int64_t stride, Value token, Value group, Value n) {
    Value row = b.at(b.at(base, token, stride), group, states * 4);
    return b.load(b.getF32Type(), floatAt(b, row, n), 4);
  }
  // Word k of token t's row along the states; beyond the last state a zero.
  Value along(Value base, int64_t stride, Value token, Value group, Value k) {
    if (!words.bf16)
      return value(base, stride, token, group, k);
    Value n = b.mul(k, b.constant(2)), next = b.add(n, b.constant(1));
    Value first = value(base, stride, token, group, n), second = value(base, stride, token, group, b.minimum(next, b.constant(states - 1)));
    if (states % 2)
      second = b.select(b.compare(arith::CmpIPredicate::slt, next, b.constant(states)), second, b.constant(b.getF32Type(), 0.0));
    return words.pack(first, second);
  }

  void pack(const Chunk &chunk, Value group) {
    int64_t stateWords = words.count(states);
    b.loop(b.constant(0), chunk.count, 1, [&](Value i) {
      Value token = b.add(chunk.start, i), out = rowOf(outputs, token, group, stateWords);
      b.loop(b.constant(0), b.constant(stateWords), 1, [&](Value k) {
        b.store(along(output, kernel.getOutputBytes(), token, group, k), b.at(out, k, kWordBytes), 4);
        b.store(along(input, kernel.getInputBytes(), token, group, k), b.at(b.at(transposed, k, length * kWordBytes), i, kWordBytes), 4);
      });
    });
    b.loop(b.constant(0), ceilWords(b, chunk.count, words.perWord()), 1, [&](Value r) {
      Value first = b.add(chunk.start, words.bf16 ? b.mul(r, b.constant(2)) : r), to = rowOf(inputs, b.add(chunk.start, r), group, states);
      Value next = b.minimum(b.add(first, b.constant(1)), b.add(chunk.start, chunk.last)); // an odd last token with itself: x is 0 there
      forChannels(b, states, [&](Value n, VectorType type) {
        auto row = [&](Value token) {
          return b.load(type, floatAt(b, b.at(b.at(input, token, kernel.getInputBytes()), group, states * 4), n), 4);
        };
        b.store(words.pack(row(first), words.bf16 ? row(next) : Value()), b.at(to, n, kWordBytes), 4);
      });
    });
  }

  void score(const Chunk &chunk, Value group) {
    int64_t vectors = length / kLanes, rows = std::clamp<int64_t>(kRows * kPanels / vectors, 1, kRows);
    Value zero = b.constant(b.floats(kLanes), 0.0);
    b.loop(b.constant(0), chunk.count, rows, [&](Value i) {
      Values from, to;
      for (int64_t r = 0; r < rows; ++r) {
        Value row = b.add(i, b.constant(r)), token = b.add(chunk.start, b.minimum(row, chunk.last));
        from.push_back(rowOf(outputs, token, group, words.count(states)));
        to.push_back(b.select(b.compare(arith::CmpIPredicate::slt, row, chunk.count), rowOf(scores, token, group, length), nowhere));
      }
      Sums sums = product(words, b.constant(words.count(states)), Sums(size_t(rows), Values(size_t(vectors), zero)),
                          [&](int64_t r, Value k) { return b.at(from[size_t(r)], k, kWordBytes); },
                          [&](int64_t q, Value k) { return b.at(b.at(transposed, k, length * kWordBytes), q * kVectorBytes); });
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t q = 0; q < vectors; ++q)
          b.store(sums[size_t(r)][size_t(q)], b.at(to[size_t(r)], q * kVectorBytes), 4);
    });
  }
};

//===----------------------------------------------------------------------===//
// Scan
//===----------------------------------------------------------------------===//

// Parts of the scratch of a chunk_scan, in bytes.
struct Layout {
  int64_t cum, step, weight, decay, masked, before, after, state, nowhere, size;
  Layout(int64_t chunk, int64_t width, int64_t states, bool bf16) {
    int64_t at = 0, words = ceilDiv(chunk, bf16 ? 2 : 1) * width * kWordBytes, row = chunk * 4;
    auto take = [&](int64_t bytes) { return std::exchange(at, tile::alignTo(at + bytes, tile::kAlignment)); };
    cum = take(row), step = take(row), weight = take(row), decay = take(row);
    masked = take(kRows * row), before = take(words), after = take(words);
    state = take(bf16 ? ceilDiv(states, 2) * width * kWordBytes : 0);
    nowhere = take(width * 4);
    size = at;
  }
};

struct ChunkScan {
  const Scan &scan;
  KernelBuilder &b;
  tile::ScanAttr kernel;
  Words words;
  int64_t width, states, length, panels;
  Layout layout;
  Value scores, inputs, outputs;
  Panel head; // its first panel
  Value group, rate;

  Value part(int64_t offset) { return b.at(scan.scratch, offset); }
  Value xRow(Value token) { return b.at(floatAt(b, scan.x, head.channel), token, kernel.getXBytes()); }
  Value groupRow(Value base, Value token, int64_t wordsOfGroup) {
    int64_t bytes = wordsOfGroup * kWordBytes;
    return b.at(b.at(base, token, kernel.getGroups() * bytes), group, bytes);
  }
  Value zero() { return b.constant(b.floats(kLanes), 0.0); }
  Value everywhere(Value pointer) { return b.loadBroadcast(b.floats(kLanes), b.getF32Type(), pointer); }

  // Logarithms of the decays summed up, steps, and what follows from them. Beyond the chunk's tokens steps are 0.
  void decays(const Chunk &chunk) {
    Type f32 = b.getF32Type();
    Values last = b.loop(b.constant(0), chunk.count, 1, ValueRange{b.constant(f32, 0.0)}, [&](Value i, ValueRange before) {
      Value value = scan.loadStepOfHead(head, b.add(chunk.start, i));
      Value sum = b.add(before[0], b.mul(value, rate));
      b.store(sum, floatAt(b, part(layout.cum), i), 4);
      b.store(value, floatAt(b, part(layout.step), i), 4);
      return Values{sum};
    });
    b.loop(chunk.count, b.constant(length), 1, [&](Value i) {
      b.store(last[0], floatAt(b, part(layout.cum), i), 4);
      b.store(b.constant(f32, 0.0), floatAt(b, part(layout.step), i), 4);
    });
    b.loop(b.constant(0), b.constant(length), kLanes, [&](Value i) {
      Value cum = b.load(b.floats(kLanes), floatAt(b, part(layout.cum), i), 4);
      b.store(powerOfTwo(b, b.sub(b.broadcast(last[0], b.floats(kLanes)), cum)), floatAt(b, part(layout.weight), i), 4);
      b.store(powerOfTwo(b, cum), floatAt(b, part(layout.decay), i), 4);
    });
  }

  // step x, and the same faded to the chunk's end, as words [panel][words of tokens][16].
  void packX(const Chunk &chunk) {
    int64_t tokenWords = words.count(length);
    b.loop(b.constant(0), ceilWords(b, chunk.count, words.perWord()), 1, [&](Value r) {
      Value first = words.bf16 ? b.mul(r, b.constant(2)) : r, next = words.bf16 ? b.add(first, b.constant(1)) : Value();
      auto factors = [&](Value i) {
        Value taken = everywhere(floatAt(b, part(layout.step), i));
        return std::pair(taken, b.mul(taken, everywhere(floatAt(b, part(layout.weight), i))));
      };
      auto [firstStep, firstFaded] = factors(first);
      auto [nextStep, nextFaded] = words.bf16 ? factors(next) : std::pair<Value, Value>(); // beyond the last token: 0
      Value firstRow = xRow(b.add(chunk.start, first)), nextRow = words.bf16 ? xRow(b.add(chunk.start, b.minimum(next, chunk.last))) : Value();
      for (int64_t q = 0; q < panels; ++q) {
        Value one = b.load(b.floats(kLanes), b.at(firstRow, q * kVectorBytes), 4);
        Value two = words.bf16 ? b.load(b.floats(kLanes), b.at(nextRow, q * kVectorBytes), 4) : Value();
        auto times = [&](Value value, Value factor) { return value ? b.mul(value, factor) : Value(); };
        auto to = [&](int64_t offset) { return b.at(part(offset + q * tokenWords * kVectorBytes), r, kVectorBytes); };
        b.store(words.pack(times(one, firstStep), times(two, nextStep)), to(layout.before), 4);
        b.store(words.pack(times(one, firstFaded), times(two, nextFaded)), to(layout.after), 4);
      }
    });
  }

  // The state as words [panel][words of states][16]: itself if those are f32.
  Value packState(Value state) {
    if (!words.bf16)
      return state;
    int64_t stateWords = words.count(states);
    for (int64_t q = 0; q < panels; ++q) {
      Value from = b.at(state, q * states * kVectorBytes), to = part(layout.state + q * stateWords * kVectorBytes);
      auto row = [&](Value n) { return b.load(b.floats(kLanes), b.at(from, n, kVectorBytes), 4); };
      b.loop(b.constant(0), b.constant(states / 2), 1, [&](Value k) {
        Value n = b.mul(k, b.constant(2));
        b.store(words.pack(row(n), row(b.add(n, b.constant(1)))), b.at(to, k, kVectorBytes), 4);
      });
      if (states % 2)
        b.store(words.pack(row(b.constant(states - 1)), zero()), b.at(to, (stateWords - 1) * kVectorBytes), 4);
    }
    return part(layout.state);
  }

  // Rows i … i + 3 of the chunk: the masked, decayed scores, as words.
  void mask(const Chunk &chunk, Value i, ArrayRef<Value> rows) {
    auto positions = b.words(kLanes);
    SmallVector<int32_t> steps = llvm::to_vector(llvm::seq<int32_t>(0, kLanes));
    Value lane = arith::ConstantOp::create(b, DenseElementsAttr::get(positions, ArrayRef<int32_t>(steps)));
    for (auto [r, row] : llvm::enumerate(rows)) {
      Value score = groupRow(scores, b.add(chunk.start, row), length), to = part(layout.masked + int64_t(r) * length * kWordBytes);
      Value cum = everywhere(floatAt(b, part(layout.cum), row));
      Value limit = b.broadcast(b.truncate(row, b.getI32Type()), positions);
      b.loop(b.constant(0), b.add(i, b.constant(kRows)), kLanes, [&](Value j) {
        Value decay = powerOfTwo(b, b.sub(cum, b.load(b.floats(kLanes), floatAt(b, part(layout.cum), j), 4)));
        Value value = b.mul(b.load(b.floats(kLanes), floatAt(b, score, j), 4), decay);
        Value column = b.add(lane, b.broadcast(b.truncate(j, b.getI32Type()), positions));
        value = b.select(b.compare(arith::CmpIPredicate::sle, column, limit), value, zero());
        if (!words.bf16)
          return b.store(value, floatAt(b, to, j), 4);
        b.store(b.truncate(b.shiftRight(words.rounded(value), 16), b.getI16Type()), b.at(to, j, 2), 2);
      });
    }
  }

  void rowsOf(const Chunk &chunk, Value state) {
    Value factor = scan.skip ? everywhere(floatAt(b, scan.skip, head.head)) : Value();
    int64_t stateWords = words.count(states), tokenWords = words.count(length);
    b.loop(b.constant(0), chunk.count, kRows, [&](Value i) {
      Values rows, inside;
      for (int64_t r = 0; r < kRows; ++r) {
        Value row = b.add(i, b.constant(r));
        inside.push_back(b.compare(arith::CmpIPredicate::slt, row, chunk.count));
        rows.push_back(b.minimum(row, chunk.last));
      }
      mask(chunk, i, rows);
      // Columns up to the last row's own; beyond the tokens both factors are zero.
      Value end = b.minimum(ceilWords(b, b.add(i, b.constant(kRows)), words.perWord()), ceilWords(b, chunk.count, words.perWord()));
      for (int64_t q0 = 0; q0 < panels; q0 += kPanels) {
        int64_t count = std::min(kPanels, panels - q0);
        Sums sums(kRows, Values(size_t(count), zero()));
        sums = product(words, b.constant(stateWords), sums,
                       [&](int64_t r, Value k) { return b.at(groupRow(outputs, b.add(chunk.start, rows[size_t(r)]), stateWords), k, kWordBytes); },
                       [&](int64_t q, Value k) { return b.at(b.at(state, (q0 + q) * stateWords * kVectorBytes), k, kVectorBytes); });
        for (int64_t r = 0; r < kRows; ++r)
          for (Value &sum : sums[size_t(r)])
            sum = b.mul(sum, everywhere(floatAt(b, part(layout.decay), rows[size_t(r)])));
        sums = product(words, end, sums, [&](int64_t r, Value k) { return b.at(part(layout.masked + r * length * kWordBytes), k, kWordBytes); },
                       [&](int64_t q, Value k) { return b.at(part(layout.before + (q0 + q) * tokenWords * kVectorBytes), k, kVectorBytes); });
        for (int64_t r = 0; r < kRows; ++r) {
          Value token = b.add(chunk.start, rows[size_t(r)]);
          Value to = b.select(inside[size_t(r)], scan.yOf(head, token), part(layout.nowhere));
          for (int64_t q = 0; q < count; ++q) {
            Value sum = sums[size_t(r)][size_t(q)];
            if (factor)
              sum = b.fma(factor, b.load(b.floats(kLanes), b.at(xRow(token), (q0 + q) * kVectorBytes), 4), sum);
            b.store(sum, b.at(to, (q0 + q) * kVectorBytes), 4);
          }
        }
      }
    });
  }

  void moveBlock(const Chunk &chunk, Value state, Value n, int64_t rows) {
    int64_t tokenWords = words.count(length);
    Value decay = everywhere(floatAt(b, part(layout.decay), chunk.last));
    for (int64_t q0 = 0; q0 < panels; q0 += kPanels) {
      int64_t count = std::min(kPanels, panels - q0);
      auto at = [&](int64_t r, int64_t q) { return b.at(b.at(state, n, kVectorBytes), ((q0 + q) * states + r) * kVectorBytes); };
      Sums sums(static_cast<size_t>(rows));
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t q = 0; q < count; ++q)
          sums[size_t(r)].push_back(b.mul(decay, b.load(b.floats(kLanes), at(r, q), 4)));
      sums = product(words, ceilWords(b, chunk.count, words.perWord()), sums,
                     [&](int64_t r, Value k) { return b.at(b.at(groupRow(inputs, b.add(chunk.start, k), states), n, kWordBytes), r * kWordBytes); },
                     [&](int64_t q, Value k) { return b.at(part(layout.after + (q0 + q) * tokenWords * kVectorBytes), k, kVectorBytes); });
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t q = 0; q < count; ++q)
          b.store(sums[size_t(r)][size_t(q)], at(r, q), 4);
    }
  }

  void move(const Chunk &chunk, Value state) {
    int64_t whole = states / kRows * kRows;
    if (whole)
      b.loop(b.constant(0), b.constant(whole), kRows, [&](Value n) { moveBlock(chunk, state, n, kRows); });
    if (whole < states)
      moveBlock(chunk, state, b.constant(whole), states - whole);
  }
};

} // namespace

void emitChunkScores(KernelBuilder &b, tile::ChunkScoresAttr kernel) {
  Tokens tokens{b.argument(1), b.argument(2), b.argument(3), b.argument(4), b.argument(4)}; // no state
  Words words{b, kernel.getBf16()};
  Value transposed = b.argument(9);
  int64_t bytes = words.count(kernel.getStates()) * kernel.getChunk() * kWordBytes;
  Scores scores{b, kernel, words, kernel.getStates(), kernel.getChunk(), b.argument(4), b.argument(5), b.argument(6), b.argument(7), b.argument(8),
                transposed, b.at(transposed, bytes)};
  // Tile t does the chunks number t, t + tiles, … of the step. Before a run there are those of the runs before it.
  Value counter = LLVM::AllocaOp::create(b, b.argument(4).getType(), b.getI64Type(), b.constant(1));
  b.store(b.constant(0), counter, 8);
  auto forLongRuns = [&](llvm::function_ref<void(const Run &)> body) {
    tokens.forRuns(b, [&](const Run &run) { b.onlyIf(isLong(b, run), [&] { body(run); }); });
  };
  forLongRuns([&](const Run &run) {
    forChunks(b, run, kernel.getChunk(), [&](const Chunk &chunk) {
      Value number = b.load(b.getI64Type(), counter, 8);
      b.store(b.add(number, b.constant(1)), counter, 8);
      Value turn = arith::RemUIOp::create(b, number, b.constant(kernel.getTiles()));
      b.onlyIf(b.compare(arith::CmpIPredicate::eq, turn, b.argument(0)), [&] {
        b.loop(b.constant(0), b.constant(kernel.getGroups()), 1, [&](Value group) {
          scores.pack(chunk, group);
          scores.score(chunk, group);
        });
      });
    });
  });
}

void emitChunkScan(KernelBuilder &b, tile::ChunkScanAttr kernel) {
  Scan scan(b, kernel.getScan());
  int64_t width = scan.kernel.getWidth(), states = scan.kernel.getStates(), length = kernel.getChunk();
  unsigned next = scan.kernel.getSkip() ? 14 : 13;
  Panel head{b.argument(0), b.mul(b.argument(0), b.constant(width)), b.constant(0), b.floats(kLanes)};
  ChunkScan chunks{scan, b, scan.kernel, {b, kernel.getBf16()}, width, states, length, width / kLanes, Layout(length, width, states, kernel.getBf16()),
                   b.argument(next), b.argument(next + 1), b.argument(next + 2), head, scan.group(head), {}};
  Value rates = scan.rate(chunks.everywhere(floatAt(b, scan.a, head.head)), std::numbers::log2e);
  chunks.rate = vector::ExtractOp::create(b, rates, ArrayRef<int64_t>{0});
  auto tokenByToken = [&](const Run &run) {
    b.loop(b.constant(0), b.constant(width), kLanes, [&](Value inHead) {
      emitScalarRun(scan, {head.head, b.add(head.channel, inHead), inHead, head.lanes}, run);
    });
  };
  auto byChunks = [&](const Run &run) {
    Value state = scan.stateAt(run, head, b.constant(0));
    b.onlyIf(run.fresh, [&] {
      b.loop(b.constant(0), b.constant(width * states), kLanes, [&](Value i) { b.store(chunks.zero(), floatAt(b, state, i), 4); });
    });
    forChunks(b, run, length, [&](const Chunk &chunk) {
      chunks.decays(chunk);
      chunks.packX(chunk);
      chunks.rowsOf(chunk, chunks.packState(state));
      chunks.move(chunk, state);
    });
  };
  scan.tokens.forRuns(b, [&](const Run &run) {
    auto branch = scf::IfOp::create(b, isLong(b, run), /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    byChunks(run);
    b.setInsertionPointToStart(branch.elseBlock());
    tokenByToken(run);
  });
}

int64_t chunkScratchBytes(tile::ChunkScoresAttr scores) {
  return (ceilDiv(scores.getStates(), scores.getBf16() ? 2 : 1) + 1) * scores.getChunk() * kWordBytes;
}

int64_t chunkScratchBytes(tile::ChunkScanAttr kernel, int64_t maxTokens) {
  tile::ScanAttr scan = kernel.getScan();
  int64_t shortRuns = scanScratchBytes(scan, maxTokens);
  return std::max(shortRuns, Layout(kernel.getChunk(), scan.getWidth(), scan.getStates(), kernel.getBf16()).size);
}

} // namespace llmc::kernels
