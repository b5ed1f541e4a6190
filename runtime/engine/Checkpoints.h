// Copies of the states that hold only what the last token left (convolution tails, recurrences), at chosen lengths of a
// sequence. A sequence goes back to a length from the nearest copy below it: the tokens between are evaluated again.
//
// Each slot keeps at most `perSlot` of them. When one more comes, the one whose loss costs least goes: the gap that it
// would leave, against the distance of that gap from the end, so that they lie dense near the end and ever sparser before it.
// A copy is shared by the slots that were forked from its sequence. All memory is reserved at once. Thread-compatible.
#pragma once

#include "runtime/engine/Region.h"

#include <span>
#include <vector>

namespace llmc {

// How much is known of what a caller will go back to.
enum class CheckpointKind : int32_t {
  Passing = 0,  // a length that evaluation came through
  Boundary = 1, // where a request began or ended, or where a prompt went another way than the last one
};

struct Checkpoint {
  int64_t length;
  int32_t copy; // which of the pool's
  CheckpointKind kind;
  bool hasRow; // the copy ends with the row of logits after the last token
};

class Checkpoints {
public:
  // `bytes`: of one copy. Errors: InvalidInput if the system gives no address space.
  static Expected<Checkpoints> reserve(int64_t bytes, int64_t slots, int64_t perSlot);
  // Bytes that reserve() takes for each copy.
  static int64_t strideOf(int64_t bytes);

  std::span<const Checkpoint> of(int64_t slot) const { return held[size_t(slot)]; }
  // The one of most tokens, but at most `length`; null: none.
  const Checkpoint *nearest(int64_t slot, int64_t length) const;
  uint8_t *memory(const Checkpoint &checkpoint) const { return pool.data() + checkpoint.copy * stride; }

  // Makes room for a copy at `length`, which is above all that the slot has, and returns it for the caller to fill.
  // `perSlot` is not 0.
  Checkpoint &add(int64_t slot, int64_t length, CheckpointKind kind);
  void dropBeyond(int64_t slot, int64_t length);
  // Slot `to` has what `from` has.
  void share(int64_t from, int64_t to);
  // Gives the memory of copies that no other slot has back to the system.
  void clear(int64_t slot);

private:
  size_t leastUseful(const std::vector<Checkpoint> &list, int64_t end) const;
  bool unref(const Checkpoint &checkpoint); // whether it was the last

  Region pool;
  int64_t stride = 0, most = 0;
  std::vector<std::vector<Checkpoint>> held; // [slots] ascending lengths
  std::vector<int32_t> readers;              // [copies] slots that have it
  std::vector<int32_t> freeCopies;
};

} // namespace llmc
