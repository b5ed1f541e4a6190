// The memory of a context's sequences: for each slot and layer of each state one run of positions, reserved for the
// whole capacity and committed as the sequence grows.
//
// Inside a layer, positions lie in blocks of 16, so the first n of them occupy the first ceil16(n) * bytes_per_position
// bytes: a prefix of a sequence is a prefix of each layer, which is what copying and saving rely on. States that do not grow
// (convolution tails, recurrences) are one run of fixed_bytes a layer, which holds what the last token left.
#pragma once

#include "runtime/artifact/Artifact.h"
#include "runtime/engine/Region.h"

#include <functional>
#include <span>
#include <vector>

namespace llmc {

constexpr int64_t positionBlock = 16;
// `capacity` of a slot that must hold `context` positions.
constexpr int64_t stateCapacity(int64_t context) { return (context + 63) / 64 * 64; }

class States {
public:
  // Bytes of one slot at `context` positions. Errors: InvalidInput on overflow.
  static Expected<int64_t> slotBytes(const llmc_artifact &artifact, int64_t context);
  using Reserve = std::function<Expected<Region>(int64_t bytes, const char *what)>;
  // `reserveMemory`: where the memory comes from.
  static Expected<States> reserve(const llmc_artifact &artifact, int64_t context, int64_t slots, const Reserve &reserveMemory = Region::reserve);

  // Asks for huge pages where sequences grow, but for the beginning of each layer's run: short sequences stay small.
  void preferHugePages();

  // What llmc_step wants; they live as long as this object, also when it is moved.
  uint8_t *const *starts() const { return bases.data(); }
  const int64_t *slotStrides() const { return slotSteps.data(); }
  const int64_t *layerStrides() const { return layerSteps.data(); }

  // Copies the first `positions` of a slot onto another, which has the first `same` of them already.
  void copy(int64_t from, int64_t to, int64_t positions, int64_t same = 0);
  // Bytes that save() writes for `positions`.
  int64_t prefixBytes(int64_t positions) const;
  void save(int64_t slot, int64_t positions, uint8_t *target) const;
  void restore(int64_t slot, int64_t positions, const uint8_t *source);
  void release(int64_t slot);

  // The states that do not grow, of one slot: their bytes, and copies of them.
  static Expected<int64_t> fixedBytes(const llmc_artifact &artifact);
  void saveFixed(int64_t slot, uint8_t *target) const;
  void restoreFixed(int64_t slot, const uint8_t *source);

private:
  // Calls visit(start of the layer, prefix bytes) for each layer of each state.
  template <class Visit> void forEachLayer(int64_t slot, int64_t positions, Visit visit) const;
  // Calls visit(start of the first layer, bytes of all layers) for each state that does not grow.
  template <class Visit> void forEachFixed(int64_t slot, Visit visit) const;

  std::span<const llmc_state> kinds;
  std::vector<Region> regions;
  std::vector<uint8_t *> bases;
  std::vector<int64_t> slotSteps, layerSteps;
};

} // namespace llmc
