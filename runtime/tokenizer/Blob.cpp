#include "runtime/tokenizer/Blob.h"

#include "runtime/support/ByteReader.h"

namespace llmc {
namespace {

constexpr char kMagic[8] = {'L', 'L', 'M', 'C', 'T', 'O', 'K', '1'};
constexpr uint32_t kVersion = 2;

struct Header {
  char magic[8];
  uint32_t version, sections;
  uint64_t bytes;
};
struct Entry {
  uint32_t kind, zero;
  uint64_t offset, bytes;
};

uint64_t padded(uint64_t bytes) { return (bytes + 7) & ~uint64_t(7); }

template <class T> void put(std::string &out, size_t at, const T &value) {
  std::memcpy(out.data() + at, &value, sizeof(T));
}

} // namespace

std::string BlobWriter::finish() const {
  uint64_t at = sizeof(Header) + sections.size() * sizeof(Entry);
  uint64_t bytes = at;
  for (const auto &[kind, content] : sections)
    bytes += padded(content.size());
  std::string out(bytes, '\0');
  Header header{{}, kVersion, uint32_t(sections.size()), bytes};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  put(out, 0, header);
  for (size_t i = 0; i < sections.size(); ++i) {
    const auto &[kind, content] = sections[i];
    put(out, sizeof(Header) + i * sizeof(Entry), Entry{uint32_t(kind), 0, at, content.size()});
    std::memcpy(out.data() + at, content.data(), content.size());
    at += padded(content.size());
  }
  return out;
}

std::unexpected<Error> BlobReader::damaged() {
  return invalidInput("tokenizer of the artifact: damaged; compile the model again");
}

Expected<BlobReader> BlobReader::open(std::span<const std::byte> blob) {
  if (blob.size() < sizeof(Header))
    return damaged();
  auto header = loadUnaligned<Header>(blob.data());
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return damaged();
  if (header.version != kVersion)
    return invalidInput("tokenizer of the artifact: want format version " + std::to_string(kVersion) + ", got " +
                        std::to_string(header.version) + "; compile the model again");
  if (header.bytes > blob.size() || header.sections > size_t(BlobSection::Count) ||
      header.bytes < sizeof(Header) + header.sections * sizeof(Entry))
    return damaged();
  BlobReader reader;
  for (size_t i = 0; i < header.sections; ++i) {
    auto entry = loadUnaligned<Entry>(blob.data() + sizeof(Header) + i * sizeof(Entry));
    bool isInside = entry.offset <= header.bytes && entry.bytes <= header.bytes - entry.offset;
    if (!isInside || entry.offset % 8 || entry.kind >= uint32_t(BlobSection::Count))
      return damaged();
    reader.sections[entry.kind] = blob.subspan(entry.offset, entry.bytes);
  }
  return reader;
}

} // namespace llmc
