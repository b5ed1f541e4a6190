// Context::save and restore: a sequence as bytes. Little-endian; what comes back is untrusted.
//
//   SavedHeader | token ids [length], padded to 64 bytes | for each state, for each layer: its prefix
#include "runtime/engine/Context.h"

#include "runtime/support/ByteReader.h"

#include <algorithm>
#include <cstring>

namespace llmc {
namespace {

constexpr char savedMagic[8] = {'L', 'L', 'M', 'C', 'S', 'E', 'Q', '1'};

struct SavedHeader {
  char magic[8];
  uint8_t weightId[16];
  int64_t length;     // tokens
  int64_t stateBytes; // of all prefixes; differs when the caches' types do
  int64_t vocab;
  uint64_t checksum; // of all that follows the header
  uint64_t reserved;
};
static_assert(sizeof(SavedHeader) == 64);

int64_t tokenBytes(int64_t length) { return (length * int64_t(sizeof(TokenId)) + 63) / 64 * 64; }

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

} // namespace

int64_t Context::saveBytes(int64_t slot) const {
  return int64_t(sizeof(SavedHeader)) + tokenBytes(length(slot)) + states.prefixBytes(length(slot));
}

Expected<void> Context::save(int64_t slot, std::span<uint8_t> target) const {
  LLMC_CHECK(checkSlot(slot));
  int64_t held = length(slot);
  if (int64_t(target.size()) < saveBytes(slot))
    return invalidInput("save: slot " + std::to_string(slot) + " takes " + std::to_string(saveBytes(slot)) +
                        " bytes, the buffer has " + std::to_string(target.size()));
  SavedHeader header{};
  std::memcpy(header.magic, savedMagic, sizeof header.magic);
  std::memcpy(header.weightId, owner->artifact().weight_id, sizeof header.weightId);
  header.length = held;
  header.stateBytes = states.prefixBytes(held);
  header.vocab = owner->artifact().vocab;
  uint8_t *body = target.data() + sizeof header;
  std::memset(body, 0, size_t(tokenBytes(held)));
  std::memcpy(body, tokenStore(slot), size_t(held) * sizeof(TokenId));
  states.save(slot, held, body + tokenBytes(held));
  header.checksum = checksum(body, tokenBytes(held) + header.stateBytes);
  std::memcpy(target.data(), &header, sizeof header);
  return {};
}

Expected<void> Context::restore(int64_t slot, std::span<const uint8_t> source) {
  LLMC_CHECK(checkSlot(slot));
  lengths[size_t(slot)] = 0;
  SavedHeader header{};
  if (source.size() >= sizeof header)
    header = loadUnaligned<SavedHeader>(reinterpret_cast<const std::byte *>(source.data()));
  if (std::memcmp(header.magic, savedMagic, sizeof savedMagic) != 0)
    return invalidInput("restore: these bytes are no saved sequence");
  if (std::memcmp(header.weightId, owner->artifact().weight_id, sizeof header.weightId) != 0 ||
      header.vocab != owner->artifact().vocab)
    return invalidInput("restore: the sequence belongs to another model");
  if (header.length < 0 || header.length > sizes.context)
    return invalidInput("restore: the sequence has " + std::to_string(header.length) +
                        " tokens, the context has room for " + std::to_string(sizes.context));
  int64_t ids = tokenBytes(header.length), wanted = ids + states.prefixBytes(header.length);
  if (header.stateBytes != wanted - ids || int64_t(source.size() - sizeof header) < wanted)
    return invalidInput("restore: want " + std::to_string(wanted + int64_t(sizeof header)) + " bytes, got " +
                        std::to_string(source.size()) + ": truncated, or saved with another type of cache");
  const uint8_t *body = source.data() + sizeof header;
  if (checksum(body, wanted) != header.checksum)
    return invalidInput("restore: the saved sequence is damaged (checksum)");
  TokenId *store = tokenStore(slot);
  std::memcpy(store, body, size_t(header.length) * sizeof(TokenId));
  if (std::any_of(store, store + header.length, [&](TokenId id) { return id < 0 || id >= header.vocab; }))
    return invalidInput("restore: the saved sequence holds a token outside the vocabulary");
  states.restore(slot, header.length, body + ids);
  lengths[size_t(slot)] = header.length;
  return {};
}

} // namespace llmc
