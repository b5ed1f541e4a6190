// Context::save and restore: a sequence as bytes. Little-endian; what comes back is untrusted.
//
//   SavedHeader | token ids [length] | SavedCheckpoint [checkpoints] | for each state, for each layer: its prefix
//   | for each checkpoint: states that do not grow, one after another, row of logits
//
// Each part is padded to 64 bytes.
#include "runtime/engine/Context.h"

#include "runtime/support/ByteReader.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace llmc {
namespace {

constexpr char savedMagic[8] = {'L', 'L', 'M', 'C', 'S', 'E', 'Q', '2'};

struct SavedHeader {
  char magic[8];
  uint8_t weightId[16];
  int64_t length;     // tokens
  int64_t stateBytes; // of all prefixes and checkpoints; differs when the states' types do
  int64_t vocab;
  int32_t ready;       // tokens that the states that do not grow have seen
  int32_t checkpoints; // how many
  uint64_t checksum;   // of the rest of the header and all that follows it
};
static_assert(sizeof(SavedHeader) == 64 && offsetof(SavedHeader, checksum) == 56);

struct SavedCheckpoint {
  int64_t length;
  int32_t kind;
  int32_t hasRow;
};

int64_t padded(int64_t bytes) { return (bytes + 63) / 64 * 64; }
int64_t tokenBytes(int64_t length) { return padded(length * int64_t(sizeof(TokenId))); }
int64_t tableBytes(int64_t checkpoints) { return padded(checkpoints * int64_t(sizeof(SavedCheckpoint))); }

// FNV-1a over 8-byte words: finds damage, not malice. All sizes here are multiples of 8.
uint64_t checksum(const uint8_t *bytes, int64_t count) {
  uint64_t sum = 0xcbf29ce484222325u;
  for (int64_t i = 0; i + 8 <= count; i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    sum = (sum ^ word) * 0x100000001b3u;
  }
  return sum;
}

uint64_t checksum(const SavedHeader &header, const uint8_t *body, int64_t count) {
  return checksum(reinterpret_cast<const uint8_t *>(&header), offsetof(SavedHeader, checksum)) ^ checksum(body, count);
}

// Every number in range, each copy at its own length, none beyond what the states have seen.
Expected<void> checkCheckpoints(const SavedHeader &header, const uint8_t *table) {
  int64_t above = 0;
  for (int64_t i = 0; i < header.checkpoints; ++i) {
    auto entry = loadUnaligned<SavedCheckpoint>(reinterpret_cast<const std::byte *>(table) + i * int64_t(sizeof(SavedCheckpoint)));
    bool isKnown = entry.kind == int32_t(CheckpointKind::Passing) || entry.kind == int32_t(CheckpointKind::Boundary);
    if (entry.length <= above || entry.length > header.ready || !isKnown || (entry.hasRow != 0 && entry.hasRow != 1))
      return invalidInput("restore: checkpoint " + std::to_string(i) + " of the saved sequence is none (length " +
                          std::to_string(entry.length) + ")");
    above = entry.length;
  }
  return {};
}

} // namespace

int64_t Context::savedStateBytes(int64_t length, int64_t count) const {
  return padded(states.prefixBytes(length)) + count * padded(sizes.checkpointBytes);
}

int64_t Context::saveBytes(int64_t slot) const {
  int64_t count = int64_t(checkpoints.of(slot).size());
  return int64_t(sizeof(SavedHeader)) + tokenBytes(length(slot)) + tableBytes(count) +
         savedStateBytes(length(slot), count);
}

void Context::saveCheckpoints(int64_t slot, uint8_t *table, uint8_t *copies) const {
  for (const Checkpoint &checkpoint : checkpoints.of(slot)) {
    SavedCheckpoint entry{checkpoint.length, int32_t(checkpoint.kind), checkpoint.hasRow};
    std::memcpy(table, &entry, sizeof entry);
    table += sizeof entry;
    int64_t bytes = checkpoint.hasRow ? sizes.checkpointBytes : sizes.fixedBytes;
    std::memcpy(copies, checkpoints.memory(checkpoint), size_t(bytes));
    copies += padded(sizes.checkpointBytes);
  }
}

Expected<void> Context::save(int64_t slot, std::span<uint8_t> target) const {
  if (owner->hasEncoder())
    return unsupported("keeping sequences of encoder-decoders is not supported yet");
  LLMC_CHECK(checkSlot(slot));
  int64_t held = length(slot), bytes = saveBytes(slot);
  if (int64_t(target.size()) < bytes)
    return invalidInput("save: slot " + std::to_string(slot) + " takes " + std::to_string(bytes) +
                        " bytes, the buffer has " + std::to_string(target.size()));
  SavedHeader header{};
  std::memcpy(header.magic, savedMagic, sizeof header.magic);
  std::memcpy(header.weightId, owner->artifact().weight_id, sizeof header.weightId);
  header.length = held;
  header.vocab = owner->artifact().vocab;
  header.ready = int32_t(held - pending(slot));
  header.checkpoints = int32_t(checkpoints.of(slot).size());
  header.stateBytes = savedStateBytes(held, header.checkpoints);
  uint8_t *body = target.data() + sizeof header, *table = body + tokenBytes(held);
  uint8_t *prefixes = table + tableBytes(header.checkpoints);
  std::memset(body, 0, size_t(bytes) - sizeof header);
  std::memcpy(body, tokenStore(slot), size_t(held) * sizeof(TokenId));
  states.save(slot, held, prefixes);
  saveCheckpoints(slot, table, prefixes + padded(states.prefixBytes(held)));
  header.checksum = checksum(header, body, bytes - int64_t(sizeof header));
  std::memcpy(target.data(), &header, sizeof header);
  return {};
}

// More than this context keeps: the least useful go, as when they were made.
void Context::restoreCheckpoints(int64_t slot, int64_t count, const uint8_t *table, const uint8_t *copies) {
  for (int64_t i = 0; sizes.checkpoints && i < count; ++i) {
    auto entry = loadUnaligned<SavedCheckpoint>(reinterpret_cast<const std::byte *>(table) + i * int64_t(sizeof(SavedCheckpoint)));
    Checkpoint &added = checkpoints.add(slot, entry.length, CheckpointKind(entry.kind));
    std::memcpy(checkpoints.memory(added), copies + i * padded(sizes.checkpointBytes), size_t(sizes.checkpointBytes));
    added.hasRow = entry.hasRow;
  }
}

Expected<void> Context::restore(int64_t slot, std::span<const uint8_t> source) {
  if (owner->hasEncoder())
    return unsupported("keeping sequences of encoder-decoders is not supported yet");
  LLMC_CHECK(checkSlot(slot));
  lengths[size_t(slot)] = ready[size_t(slot)] = 0;
  checkpoints.dropBeyond(slot, 0);
  SavedHeader header{};
  if (source.size() >= sizeof header)
    header = loadUnaligned<SavedHeader>(reinterpret_cast<const std::byte *>(source.data()));
  if (std::memcmp(header.magic, savedMagic, sizeof savedMagic) != 0)
    return invalidInput("restore: these bytes are no sequence saved by this version");
  if (std::memcmp(header.weightId, owner->artifact().weight_id, sizeof header.weightId) != 0 ||
      header.vocab != owner->artifact().vocab)
    return invalidInput("restore: the sequence belongs to another model");
  if (header.length < 0 || header.length > sizes.context)
    return invalidInput("restore: the sequence has " + std::to_string(header.length) +
                        " tokens, the context has room for " + std::to_string(sizes.context));
  int64_t mostCheckpoints = sizes.fixedBytes ? maxCheckpoints : 0, leastReady = sizes.fixedBytes ? 0 : header.length;
  if (header.ready < leastReady || header.ready > header.length || header.checkpoints < 0 ||
      header.checkpoints > mostCheckpoints)
    return invalidInput("restore: the saved sequence is damaged (header)");
  int64_t ids = tokenBytes(header.length), table = tableBytes(header.checkpoints);
  int64_t stateBytes = savedStateBytes(header.length, header.checkpoints), wanted = ids + table + stateBytes;
  if (header.stateBytes != stateBytes || int64_t(source.size() - sizeof header) < wanted)
    return invalidInput("restore: want " + std::to_string(wanted + int64_t(sizeof header)) + " bytes, got " +
                        std::to_string(source.size()) + ": truncated, or saved with another type of cache");
  const uint8_t *body = source.data() + sizeof header;
  if (checksum(header, body, wanted) != header.checksum)
    return invalidInput("restore: the saved sequence is damaged (checksum)");
  LLMC_CHECK(checkCheckpoints(header, body + ids));
  TokenId *store = tokenStore(slot);
  std::memcpy(store, body, size_t(header.length) * sizeof(TokenId));
  if (std::any_of(store, store + header.length, [&](TokenId id) { return id < 0 || id >= header.vocab; }))
    return invalidInput("restore: the saved sequence holds a token outside the vocabulary");
  const uint8_t *prefixes = body + ids + table;
  states.restore(slot, header.length, prefixes);
  restoreCheckpoints(slot, header.checkpoints, body + ids, prefixes + padded(states.prefixBytes(header.length)));
  lengths[size_t(slot)] = header.length;
  ready[size_t(slot)] = header.ready;
  return {};
}

} // namespace llmc
