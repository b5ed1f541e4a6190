#include "runtime/engine/States.h"

#include "runtime/support/CheckedMath.h"

#include <cstring>

namespace llmc {
namespace {

constexpr int64_t pageBytes = 4096, hugePageBytes = int64_t(2) << 20;
// A layer's run begins in small pages, so that a huge one is at least so much of what the run holds when it is first touched.
constexpr int64_t smallBytes = int64_t(512) << 10;
// Each piece that differs in its pages is a mapping of its own to the system, which has room for 65,530.
constexpr int64_t mostHugeRuns = 4096;

std::unexpected<Error> tooLarge(int64_t context) {
  return invalidInput("context: the states of " + std::to_string(context) + " positions exceed the address space");
}

// Slots begin on pages, so that one can be given back without its neighbour.
std::optional<int64_t> slotStride(const llmc_state &state, int64_t capacity) {
  auto layer = state.fixed_bytes ? std::optional(state.fixed_bytes) : checkedMul(state.bytes_per_position, capacity);
  auto slot = layer ? checkedMul(*layer, state.layers) : std::nullopt;
  auto padded = slot ? checkedAdd(*slot, pageBytes - 1) : std::nullopt;
  return padded ? std::optional(*padded / pageBytes * pageBytes) : std::nullopt;
}

int64_t prefix(const llmc_state &state, int64_t positions) {
  if (state.fixed_bytes)
    return state.fixed_bytes;
  return (positions + positionBlock - 1) / positionBlock * positionBlock * state.bytes_per_position;
}

} // namespace

Expected<int64_t> States::slotBytes(const llmc_artifact &artifact, int64_t context) {
  int64_t total = 0;
  for (int64_t i = 0; i < artifact.state_count; ++i) {
    auto stride = slotStride(artifact.states[i], stateCapacity(context));
    auto sum = stride ? checkedAdd(total, *stride) : std::nullopt;
    if (!sum)
      return tooLarge(context);
    total = *sum;
  }
  return total;
}

Expected<States> States::reserve(const llmc_artifact &artifact, int64_t context, int64_t slots, const Reserve &reserveMemory) {
  States states;
  states.kinds = {artifact.states, size_t(artifact.state_count)};
  int64_t capacity = stateCapacity(context);
  for (const llmc_state &kind : states.kinds) {
    auto stride = slotStride(kind, capacity);
    auto bytes = stride ? checkedMul(*stride, slots) : std::nullopt;
    if (!bytes)
      return tooLarge(context);
    LLMC_TRY(region, reserveMemory(*bytes, kind.name));
    states.bases.push_back(region.data());
    states.regions.push_back(std::move(region));
    states.slotSteps.push_back(*stride);
    states.layerSteps.push_back(kind.fixed_bytes ? kind.fixed_bytes : kind.bytes_per_position * capacity);
  }
  return states;
}

void States::preferHugePages() {
  for (size_t i = 0; i < kinds.size(); ++i) {
    int64_t layerBytes = layerSteps[i], slots = slotSteps[i] ? regions[i].bytes() / slotSteps[i] : 0;
    if (kinds[i].fixed_bytes || slots * kinds[i].layers > mostHugeRuns)
      continue;
    for (int64_t run = 0; run < slots * kinds[i].layers; ++run) {
      int64_t offset = run / kinds[i].layers * slotSteps[i] + run % kinds[i].layers * layerBytes;
      auto address = int64_t(reinterpret_cast<uintptr_t>(bases[i]) % uintptr_t(hugePageBytes));
      int64_t begin = (address + offset + smallBytes + hugePageBytes - 1) / hugePageBytes * hugePageBytes - address;
      int64_t end = (address + offset + layerBytes) / hugePageBytes * hugePageBytes - address;
      if (begin < end)
        regions[i].preferHugePages(begin, end - begin);
    }
  }
}

template <class Visit> void States::forEachLayer(int64_t slot, int64_t positions, Visit visit) const {
  for (size_t i = 0; i < kinds.size(); ++i)
    for (int64_t layer = 0; layer < kinds[i].layers; ++layer)
      visit(bases[i] + slot * slotSteps[i] + layer * layerSteps[i], size_t(prefix(kinds[i], positions)));
}

void States::copy(int64_t from, int64_t to, int64_t positions, int64_t same) {
  int64_t wholeBlocks = same / positionBlock * positionBlock;
  for (size_t i = 0; i < kinds.size(); ++i)
    for (int64_t layer = 0; layer < kinds[i].layers; ++layer) {
      int64_t begin = kinds[i].fixed_bytes ? 0 : prefix(kinds[i], wholeBlocks);
      uint8_t *start = bases[i] + layer * layerSteps[i] + begin;
      std::memcpy(start + to * slotSteps[i], start + from * slotSteps[i], size_t(prefix(kinds[i], positions) - begin));
    }
}

int64_t States::prefixBytes(int64_t positions) const {
  int64_t total = 0;
  for (const llmc_state &kind : kinds)
    total += kind.layers * prefix(kind, positions);
  return total;
}

void States::save(int64_t slot, int64_t positions, uint8_t *target) const {
  forEachLayer(slot, positions, [&](const uint8_t *layer, size_t bytes) {
    std::memcpy(target, layer, bytes);
    target += bytes;
  });
}

void States::restore(int64_t slot, int64_t positions, const uint8_t *source) {
  forEachLayer(slot, positions, [&](uint8_t *layer, size_t bytes) {
    std::memcpy(layer, source, bytes);
    source += bytes;
  });
}

Expected<int64_t> States::fixedBytes(const llmc_artifact &artifact) {
  int64_t total = 0;
  for (const llmc_state &kind : std::span(artifact.states, size_t(artifact.state_count))) {
    auto bytes = checkedMul(kind.fixed_bytes, kind.layers);
    auto sum = bytes ? checkedAdd(total, *bytes) : std::nullopt;
    if (!sum)
      return internalError("states: their size exceeds the address space");
    total = *sum;
  }
  return total;
}

template <class Visit> void States::forEachFixed(int64_t slot, Visit visit) const {
  for (size_t i = 0; i < kinds.size(); ++i)
    if (kinds[i].fixed_bytes)
      visit(bases[i] + slot * slotSteps[i], size_t(kinds[i].fixed_bytes * kinds[i].layers));
}

void States::saveFixed(int64_t slot, uint8_t *target) const {
  forEachFixed(slot, [&](const uint8_t *start, size_t bytes) {
    std::memcpy(target, start, bytes);
    target += bytes;
  });
}

void States::restoreFixed(int64_t slot, const uint8_t *source) {
  forEachFixed(slot, [&](uint8_t *start, size_t bytes) {
    std::memcpy(start, source, bytes);
    source += bytes;
  });
}

void States::release(int64_t slot) {
  for (size_t i = 0; i < kinds.size(); ++i)
    regions[i].release(slot * slotSteps[i], slotSteps[i]);
}

} // namespace llmc
