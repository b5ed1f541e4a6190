#include "test/gpu/emulator/Fibers.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#ifndef __x86_64__
#error "fibers switch by x86-64 instructions"
#endif

extern "C" {
// Shared memory of the block that runs, and a margin that nobody may write.
alignas(64) uint8_t llmc_shared[llmc::gpu::kMostShared + 1024];
// Keeps the registers that a call must keep on this stack, and goes on with the other.
void llmc_gpu_switch(void **from, void *to);
}
asm(R"(
.text
.globl llmc_gpu_switch
.hidden llmc_gpu_switch
llmc_gpu_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
)");

namespace llmc::gpu {
namespace {

constexpr size_t kStackBytes = 128 << 10;
constexpr int kLanes = 32, kMostWords = 16;

[[noreturn]] void fail(const char *what) {
  std::fprintf(stderr, "gpu emulator: %s\n", what);
  std::abort();
}

// Threads that meet: the last to come moves the others on.
struct Meeting {
  int64_t expected = 0, arrived = 0;
  uint64_t turn = 0;
};

struct Warp {
  Meeting meeting;
  uint32_t in[kLanes][kMostWords], out[kLanes][kMostWords];
};

struct Copy {
  void *to;
  const void *from;
  size_t bytes, zeros; // those follow
};

struct Fiber {
  std::unique_ptr<uint8_t[]> stack{new uint8_t[kStackBytes]};
  void *sp = nullptr;
  const Meeting *waitsFor = nullptr;
  uint64_t since = 0;
  bool done = false;
  int32_t thread = 0, block = 0;
  std::vector<std::vector<Copy>> groups = std::vector<std::vector<Copy>>(1); // the last is still open
  bool canRun() const { return !done && (!waitsFor || waitsFor->turn != since); }
};

struct Block {
  Meeting meeting;
  std::vector<Warp> warps;
  std::vector<Fiber> fibers;
};

struct State {
  Grid grid;
  const std::function<void()> *body;
  std::vector<Block> blocks;
  Meeting all;
  Fiber *now = nullptr;
  void *scheduler = nullptr;
};
State *state;

Block &ownBlock() { return state->blocks[size_t(state->now->block)]; }
Warp &ownWarp() { return ownBlock().warps[size_t(state->now->thread / kLanes)]; }
int ownLane() { return state->now->thread % kLanes; }

// Whether this thread came last; the others have waited.
template <class Last> void meet(Meeting &meeting, Last last) {
  Fiber *self = state->now;
  if (++meeting.arrived == meeting.expected) {
    last();
    meeting.arrived = 0;
    ++meeting.turn;
    return;
  }
  self->waitsFor = &meeting;
  self->since = meeting.turn;
  llmc_gpu_switch(&self->sp, state->scheduler);
  self->waitsFor = nullptr;
}

// All lanes of a warp give words; `compute(in, out)` fills what each gets.
template <class Compute> const uint32_t *together(std::initializer_list<uint32_t> words, Compute compute) {
  Warp &warp = ownWarp();
  std::copy(words.begin(), words.end(), warp.in[ownLane()]);
  meet(warp.meeting, [&] { compute(warp.in, warp.out); });
  return warp.out[ownLane()];
}

void poison() {
  std::memset(llmc_shared, 0xff, size_t(state->grid.sharedBytes));
  std::memset(llmc_shared + state->grid.sharedBytes, 0xa5, sizeof llmc_shared - size_t(state->grid.sharedBytes));
}

void checkMargin() {
  for (size_t i = size_t(state->grid.sharedBytes); i < size_t(state->grid.sharedBytes) + 512; ++i)
    if (llmc_shared[i] != 0xa5)
      fail("a kernel wrote beyond its shared memory");
}

void enter() {
  (*state->body)();
  Fiber *self = state->now;
  self->done = true;
  llmc_gpu_switch(&self->sp, state->scheduler);
  fail("a finished thread was resumed");
}

void prepare(Fiber &fiber) {
  auto top = reinterpret_cast<uintptr_t>(fiber.stack.get() + kStackBytes) & ~uintptr_t(63);
  void **sp = reinterpret_cast<void **>(top);
  *--sp = nullptr; // where `enter` would return to; keeps the stack aligned as after a call
  *--sp = reinterpret_cast<void *>(&enter);
  for (int i = 0; i < 6; ++i)
    *--sp = nullptr;
  fiber.sp = sp;
}

// Until none of the block's threads can go on without other blocks. Whether any ran.
bool runBlock(Block &block) {
  bool any = false;
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t i = 0; i < block.fibers.size(); ++i) {
      Fiber &fiber = block.fibers[state->grid.backwards ? block.fibers.size() - 1 - i : i];
      if (!fiber.canRun())
        continue;
      state->now = &fiber;
      llmc_gpu_switch(&state->scheduler, fiber.sp);
      moved = any = true;
    }
  }
  return any;
}

float asFloat(uint32_t bits) { float value; std::memcpy(&value, &bits, 4); return value; }
uint32_t asBits(float value) { uint32_t bits; std::memcpy(&bits, &value, 4); return bits; }
float bf16At(uint32_t pair, int half) { return asFloat(half ? pair & 0xffff0000u : pair << 16); }
int32_t byteAt(uint32_t word, int i) { return int8_t(word >> (8 * i)); }

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

int32_t threadNumber() { return state->now->thread; }
int32_t blockNumber() { return state->now->block; }
int32_t threadCount() { return int32_t(state->grid.threads); }
int32_t blockCount() { return int32_t(state->grid.blocks); }

void blockBarrier(int32_t) { meet(ownBlock().meeting, checkMargin); }

void gridBarrier(void *) {
  meet(ownBlock().meeting, [] { checkMargin(), poison(); });
  meet(state->all, [] {});
}

void warpBarrier(uint32_t) { meet(ownWarp().meeting, [] {}); }

uint32_t shuffleXor(uint32_t, uint32_t value, uint32_t mask, uint32_t) {
  return *together({value, mask}, [](auto &in, auto &out) {
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      out[lane][0] = in[(lane ^ in[lane][1]) % kLanes][0];
  });
}
uint32_t shuffleFrom(uint32_t, uint32_t value, uint32_t from, uint32_t) {
  return *together({value, from}, [](auto &in, auto &out) {
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      out[lane][0] = in[in[lane][1] % kLanes][0];
  });
}
float shuffleXorFloat(uint32_t members, float value, uint32_t mask, uint32_t clamp) { return asFloat(shuffleXor(members, asBits(value), mask, clamp)); }
float shuffleFromFloat(uint32_t members, float value, uint32_t from, uint32_t clamp) { return asFloat(shuffleFrom(members, asBits(value), from, clamp)); }

uint32_t addAll(uint32_t value, uint32_t) {
  return *together({value}, [](auto &in, auto &out) {
    uint32_t sum = 0;
    for (int lane = 0; lane < kLanes; ++lane)
      sum += in[lane][0];
    for (int lane = 0; lane < kLanes; ++lane)
      out[lane][0] = sum;
  });
}
uint32_t largest(uint32_t value, uint32_t) {
  return *together({value}, [](auto &in, auto &out) {
    int32_t most = INT32_MIN;
    for (int lane = 0; lane < kLanes; ++lane)
      most = std::max(most, int32_t(in[lane][0]));
    for (int lane = 0; lane < kLanes; ++lane)
      out[lane][0] = uint32_t(most);
  });
}

uint32_t dot4(uint32_t a, uint32_t b, uint32_t c) {
  for (int i = 0; i < 4; ++i)
    c += uint32_t(byteAt(a, i) * byteAt(b, i));
  return c;
}
uint32_t dot4Unsigned(uint32_t a, uint32_t b, uint32_t c) {
  for (int i = 0; i < 4; ++i)
    c += uint32_t(int32_t(uint8_t(a >> (8 * i))) * byteAt(b, i));
  return c;
}

// What gives several values gives them through a pointer: HostCode.cpp.
struct FourFloats { float value[4]; };
struct FourWords { int32_t value[4]; };

// PTX manual, matrix fragments of mma.m16n8k16 and mma.m16n8k32: word `word` of row or column.
uint32_t wordOfA(const uint32_t (*in)[kMostWords], int row, int word) { return in[row % 8 * 4 + word % 4][row / 8 + word / 4 * 2]; }
uint32_t wordOfB(const uint32_t (*in)[kMostWords], int column, int word) { return in[column * 4 + word % 4][4 + word / 4]; }

// m16n8k16 of bytes has half as many words of each row and column.
uint32_t wordOfHalfA(const uint32_t (*in)[kMostWords], int row, int word) { return in[row % 8 * 4 + word][row / 8]; }
uint32_t wordOfHalfB(const uint32_t (*in)[kMostWords], int column, int word) { return in[column * 4 + word][2]; }

template <class Dot> void multiply(const uint32_t (*in)[kMostWords], uint32_t (*out)[kMostWords], Dot dot) {
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < 4; ++i) {
      int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
      uint32_t sum = in[lane][6 + i];
      for (int word = 0; word < 8; ++word)
        sum = dot(wordOfA(in, row, word), wordOfB(in, column, word), sum);
      out[lane][i] = sum;
    }
}

// The order and width of the sums inside one instruction is the hardware's own: here each product is added in f32, in order.
void mmaBf16(FourFloats *result, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1, float c0, float c1, float c2, float c3) {
  const uint32_t *sums = together({a0, a1, a2, a3, b0, b1, asBits(c0), asBits(c1), asBits(c2), asBits(c3)}, [](auto &in, auto &out) {
    multiply(in, out, [](uint32_t a, uint32_t b, uint32_t sum) {
      for (int half = 0; half < 2; ++half)
        sum = asBits(std::fma(bf16At(a, half), bf16At(b, half), asFloat(sum)));
      return sum;
    });
  });
  *result = {{asFloat(sums[0]), asFloat(sums[1]), asFloat(sums[2]), asFloat(sums[3])}};
}
float halfAt(uint32_t pair, int half) {
  uint32_t bits = pair >> (16 * half) & 0xffff, exponent = bits >> 10 & 31, mantissa = bits & 1023;
  float size = exponent == 31 ? asFloat(0x7f800000u | mantissa << 13) : exponent ? asFloat((exponent + 112) << 23 | mantissa << 13) : std::ldexp(float(mantissa), -24);
  return bits & 0x8000 ? -size : size;
}
void mmaF16(FourFloats *result, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1, float c0, float c1, float c2, float c3) {
  const uint32_t *sums = together({a0, a1, a2, a3, b0, b1, asBits(c0), asBits(c1), asBits(c2), asBits(c3)}, [](auto &in, auto &out) {
    multiply(in, out, [](uint32_t a, uint32_t b, uint32_t sum) {
      for (int half = 0; half < 2; ++half)
        sum = asBits(std::fma(halfAt(a, half), halfAt(b, half), asFloat(sum)));
      return sum;
    });
  });
  *result = {{asFloat(sums[0]), asFloat(sums[1]), asFloat(sums[2]), asFloat(sums[3])}};
}
void mmaInt8(FourWords *result, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  const uint32_t *sums = together({a0, a1, a2, a3, b0, b1, c0, c1, c2, c3}, [](auto &in, auto &out) { multiply(in, out, dot4); });
  *result = {{int32_t(sums[0]), int32_t(sums[1]), int32_t(sums[2]), int32_t(sums[3])}};
}

void mmaInt8Half(FourWords *result, uint32_t a0, uint32_t a1, uint32_t b0, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
  const uint32_t *sums = together({a0, a1, b0, c0, c1, c2, c3}, [](auto &in, auto &out) {
    for (int lane = 0; lane < kLanes; ++lane)
      for (int i = 0; i < 4; ++i) {
        out[lane][i] = in[lane][3 + i];
        for (int word = 0; word < 4; ++word)
          out[lane][i] = dot4(wordOfHalfA(in, lane / 4 + i / 2 * 8, word), wordOfHalfB(in, lane % 4 * 2 + i % 2, word), out[lane][i]);
      }
  });
  *result = {{int32_t(sums[0]), int32_t(sums[1]), int32_t(sums[2]), int32_t(sums[3])}};
}

// Lane 8 i + r gives row r of matrix i; lane 4 r + t gets word t of that row of each.
void loadMatrices(FourWords *result, const void *row) {
  auto address = reinterpret_cast<uintptr_t>(row);
  if (address % 16)
    fail("a row of a matrix is not aligned to 16 bytes");
  const uint32_t *words = together({uint32_t(address), uint32_t(address >> 32)}, [](auto &in, auto &out) {
    for (int lane = 0; lane < kLanes; ++lane)
      for (int i = 0; i < 4; ++i) {
        const uint32_t *from = in[8 * i + lane / 4];
        std::memcpy(&out[lane][i], reinterpret_cast<const char *>(uintptr_t(from[0]) | uintptr_t(from[1]) << 32) + lane % 4 * 4, 4);
      }
  });
  *result = {{int32_t(words[0]), int32_t(words[1]), int32_t(words[2]), int32_t(words[3])}};
}

// Of 8 by 8 elements of 2 bytes, turned: lane 4 r + t gets elements r of rows 2 t and 2 t + 1.
void loadMatricesTurned(FourWords *result, const void *row) {
  auto address = reinterpret_cast<uintptr_t>(row);
  if (address % 16)
    fail("a row of a matrix is not aligned to 16 bytes");
  const uint32_t *words = together({uint32_t(address), uint32_t(address >> 32)}, [](auto &in, auto &out) {
    for (int lane = 0; lane < kLanes; ++lane)
      for (int i = 0; i < 4; ++i)
        for (int half = 0; half < 2; ++half) {
          const uint32_t *from = in[8 * i + lane % 4 * 2 + half];
          std::memcpy(reinterpret_cast<char *>(&out[lane][i]) + 2 * half,
                      reinterpret_cast<const char *>(uintptr_t(from[0]) | uintptr_t(from[1]) << 32) + lane / 4 * 2, 2);
        }
  });
  *result = {{int32_t(words[0]), int32_t(words[1]), int32_t(words[2]), int32_t(words[3])}};
}

float powerOfTwo(float value) { return value < -126 ? 0 : std::exp2(value); } // subnormal results are zero

// The default mode of prmt; a selector's highest bit would spread the sign.
uint32_t pickBytes(uint32_t low, uint32_t high, uint32_t selector) {
  uint64_t all = uint64_t(high) << 32 | low;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    uint32_t nibble = selector >> (4 * i) & 15;
    auto byte = uint32_t(all >> (8 * (nibble & 7)) & 0xff);
    result |= (nibble & 8 ? (byte & 0x80 ? 0xffu : 0u) : byte) << (8 * i);
  }
  return result;
}

void copyLater(void *to, const void *from, size_t bytes, size_t there) {
  if (reinterpret_cast<uintptr_t>(to) % bytes || reinterpret_cast<uintptr_t>(from) % bytes)
    fail("an asynchronous copy is not aligned to its size");
  state->now->groups.back().push_back({to, from, there, bytes - there});
}
void copyAsync(void *to, const void *from) { copyLater(to, from, 16, 16); }
void copyAsyncOrZero(void *to, const void *from, int32_t there) { copyLater(to, from, 16, size_t(there)); }
void copyWordAsyncOrZero(void *to, const void *from, int32_t there) { copyLater(to, from, 4, size_t(there)); }
void commitCopies() { state->now->groups.emplace_back(); }
void awaitCopies(int32_t most) {
  auto &groups = state->now->groups;
  while (int64_t(groups.size()) - 1 > most) {
    for (Copy copy : groups.front()) {
      std::memcpy(copy.to, copy.from, copy.bytes);
      std::memset(static_cast<char *>(copy.to) + copy.bytes, 0, copy.zeros);
    }
    groups.erase(groups.begin());
  }
}

// A card asks for nothing where there is no memory; here it must be there.
void prefetch(const void *pointer) { static_cast<void>(*static_cast<const volatile char *>(pointer)); }

template <class Function> void *address(Function *function) { return reinterpret_cast<void *>(function); }

} // namespace

const Symbol *emulatedSymbols() {
  static const Symbol symbols[] = {
      {"llmc_shared", llmc_shared},
      {"llmc_grid_barrier", address(gridBarrier)},
      {"llvm.nvvm.read.ptx.sreg.tid.x", address(threadNumber)},
      {"llvm.nvvm.read.ptx.sreg.ntid.x", address(threadCount)},
      {"llvm.nvvm.read.ptx.sreg.ctaid.x", address(blockNumber)},
      {"llvm.nvvm.read.ptx.sreg.nctaid.x", address(blockCount)},
      {"llvm.nvvm.barrier.cta.sync.aligned.all", address(blockBarrier)},
      {"llvm.nvvm.bar.warp.sync", address(warpBarrier)},
      {"llvm.nvvm.shfl.sync.bfly.i32", address(shuffleXor)},
      {"llvm.nvvm.shfl.sync.bfly.f32", address(shuffleXorFloat)},
      {"llvm.nvvm.shfl.sync.idx.i32", address(shuffleFrom)},
      {"llvm.nvvm.shfl.sync.idx.f32", address(shuffleFromFloat)},
      {"llvm.nvvm.redux.sync.add", address(addAll)},
      {"llvm.nvvm.redux.sync.max", address(largest)},
      {"llvm.nvvm.idp4a.s.s", address(dot4)},
      {"llvm.nvvm.idp4a.u.s", address(dot4Unsigned)},
      {"llvm.nvvm.mma.m16n8k16.row.col.bf16", address(mmaBf16)},
      {"llvm.nvvm.mma.m16n8k32.row.col.s8", address(mmaInt8)},
      {"llvm.nvvm.cp.async.cg.shared.global.16", address(copyAsync)},
      {"llvm.nvvm.mma.m16n8k16.row.col.s8", address(mmaInt8Half)},
      {"llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3", address(loadMatrices)},
      {"llvm.nvvm.mma.m16n8k16.row.col.f32.f32", address(mmaF16)},
      {"llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3", address(loadMatricesTurned)},
      {"llvm.nvvm.ex2.approx.ftz.f32", address(powerOfTwo)},
      {"llvm.nvvm.prmt", address(pickBytes)},
      {"llvm.nvvm.cp.async.cg.shared.global.16.s", address(copyAsyncOrZero)},
      {"llvm.nvvm.cp.async.ca.shared.global.4.s", address(copyWordAsyncOrZero)},
      {"llvm.nvvm.cp.async.commit.group", address(commitCopies)},
      {"llvm.nvvm.cp.async.wait.group", address(awaitCopies)},
      {"llvm.nvvm.prefetch.global.L2", address(prefetch)},
      {nullptr, nullptr},
  };
  return symbols;
}

void runGrid(const Grid &grid, const std::function<void()> &body) {
  if (grid.threads <= 0 || grid.threads % kLanes || grid.blocks < 1 || grid.sharedBytes < 0 || grid.sharedBytes > kMostShared)
    fail("want whole warps, blocks, and shared memory up to 99 KiB");
  State own{.grid = grid, .body = &body, .blocks = std::vector<Block>(size_t(grid.blocks))};
  state = &own;
  own.all.expected = grid.blocks * grid.threads;
  for (size_t b = 0; b < own.blocks.size(); ++b) {
    Block &block = own.blocks[b];
    block.meeting.expected = grid.threads;
    block.warps.resize(size_t(grid.threads / kLanes));
    for (Warp &warp : block.warps)
      warp.meeting.expected = kLanes;
  }
  // Blocks that wait for no other have their threads one after the other's: stacks are made when a block first runs.
  auto finished = [](Block &block) {
    for (Fiber &fiber : block.fibers)
      if (!fiber.done)
        return false;
    return !block.fibers.empty();
  };
  for (size_t left = own.blocks.size(); left;) {
    bool any = false;
    for (size_t b = 0; b < own.blocks.size(); ++b) {
      Block &block = own.blocks[b];
      if (block.warps.empty()) // over
        continue;
      if (block.fibers.empty()) {
        block.fibers = std::vector<Fiber>(size_t(grid.threads));
        for (size_t i = 0; i < block.fibers.size(); ++i) {
          block.fibers[i].thread = int32_t(i), block.fibers[i].block = int32_t(b);
          prepare(block.fibers[i]);
        }
      }
      poison();
      any |= runBlock(block);
      checkMargin();
      if (finished(block)) {
        block.fibers.clear(), block.warps.clear();
        --left;
      }
    }
    if (!any)
      fail("threads wait for ever: a barrier or an exchange of a warp that not all reach");
  }
  state = nullptr;
}

} // namespace llmc::gpu
