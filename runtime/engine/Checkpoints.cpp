#include "runtime/engine/Checkpoints.h"

#include <algorithm>
#include <cassert>

namespace llmc {
namespace {

constexpr int64_t pageBytes = 4096;
// How much longer a gap may be rather than to lose a boundary.
constexpr double boundaryWorth = 4;

} // namespace

// Copies begin on pages, so that one can be given back without its neighbour.
int64_t Checkpoints::strideOf(int64_t bytes) { return (bytes + pageBytes - 1) / pageBytes * pageBytes; }

Expected<Checkpoints> Checkpoints::reserve(int64_t bytes, int64_t slots, int64_t perSlot) {
  Checkpoints made;
  made.stride = strideOf(bytes);
  made.most = perSlot;
  LLMC_TRY(memory, Region::reserve(made.stride * slots * perSlot, "checkpoints"));
  made.pool = std::move(memory);
  made.held.resize(size_t(slots));
  for (auto &list : made.held)
    list.reserve(size_t(perSlot));
  made.readers.assign(size_t(slots * perSlot), 0);
  for (int64_t copy = slots * perSlot; copy-- > 0;)
    made.freeCopies.push_back(int32_t(copy));
  return made;
}

const Checkpoint *Checkpoints::nearest(int64_t slot, int64_t length) const {
  const auto &list = held[size_t(slot)];
  auto above = std::ranges::upper_bound(list, length, {}, &Checkpoint::length);
  return above == list.begin() ? nullptr : &*std::prev(above);
}

// A gap of g tokens at distance d from the end costs g to cross, and is wanted the less the larger d is. What is before
// the first copy is the empty sequence.
size_t Checkpoints::leastUseful(const std::vector<Checkpoint> &list, int64_t end) const {
  size_t best = 0;
  double least = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    int64_t before = i ? list[i - 1].length : 0;
    int64_t after = i + 1 < list.size() ? list[i + 1].length : end;
    double cost = double(after - before) / double(end - before);
    if (list[i].kind == CheckpointKind::Boundary)
      cost *= boundaryWorth;
    if (i == 0 || cost < least) {
      best = i;
      least = cost;
    }
  }
  return best;
}

Checkpoint &Checkpoints::add(int64_t slot, int64_t length, CheckpointKind kind) {
  auto &list = held[size_t(slot)];
  assert(most > 0 && (list.empty() || list.back().length < length));
  if (int64_t(list.size()) == most) {
    auto victim = list.begin() + ptrdiff_t(leastUseful(list, length));
    unref(*victim);
    list.erase(victim);
  }
  // There are as many copies as all slots together may have.
  int32_t copy = freeCopies.back();
  freeCopies.pop_back();
  readers[size_t(copy)] = 1;
  return list.emplace_back(length, copy, kind, false);
}

bool Checkpoints::unref(const Checkpoint &checkpoint) {
  if (--readers[size_t(checkpoint.copy)] > 0)
    return false;
  freeCopies.push_back(checkpoint.copy);
  return true;
}

void Checkpoints::dropBeyond(int64_t slot, int64_t length) {
  auto &list = held[size_t(slot)];
  for (; !list.empty() && list.back().length > length; list.pop_back())
    unref(list.back());
}

void Checkpoints::share(int64_t from, int64_t to) {
  if (from == to)
    return;
  for (const Checkpoint &checkpoint : held[size_t(from)])
    ++readers[size_t(checkpoint.copy)];
  dropBeyond(to, -1);
  held[size_t(to)] = held[size_t(from)];
}

void Checkpoints::clear(int64_t slot) {
  for (const Checkpoint &checkpoint : held[size_t(slot)])
    if (unref(checkpoint))
      pool.release(checkpoint.copy * stride, stride);
  held[size_t(slot)].clear();
}

} // namespace llmc
