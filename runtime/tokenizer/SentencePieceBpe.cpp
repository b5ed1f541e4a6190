// SentencePiece's byte-pair encoding: any two neighbours whose text is a piece merge, the best score first. Text of a
// user-defined piece is one symbol that never merges, and an unused piece is undone in the end.
// Source: https://github.com/google/sentencepiece/blob/master/src/bpe_model.cc
#include "runtime/tokenizer/ScoreRank.h"
#include "runtime/tokenizer/SentencePieceOutput.h"

#include <map>

namespace llmc {
namespace {

class SentencePieceBpe final : public Model {
public:
  SentencePieceBpe(const Vocabulary &vocabulary, std::span<const float> scores, PieceTrie userDefined,
                   SentencePieceOutput output)
      : vocabulary(vocabulary), scores(scores), userDefined(userDefined), output(output) {
    for (size_t id = 0; id < vocabulary.size(); ++id)
      hasUnused |= vocabulary.flagsOf(TokenId(id)) == 0;
  }

  Expected<void> encode(std::string_view text, EncodeScratch &scratch, std::vector<TokenId> &ids) const override;
  bool allowsBoundaries() const override { return !hasUnused && findPiece("\xE2\x96\x81") >= 0; }

private:
  // How unused pieces came about: the bytes of their left halves.
  using Halves = std::map<std::string_view, uint32_t>;
  struct Writer {
    const Halves &halves;
    std::vector<TokenId> &ids;
    bool isBehindUnknown = false;
  };

  // -1 if the text is no piece that text may hold.
  TokenId findPiece(std::string_view text) const {
    constexpr uint8_t kReserved = kPieceControl | kPieceUnknown | kPieceByte | kPieceAddedOnly;
    TokenId id = vocabulary.find(text);
    return id >= 0 && (vocabulary.flagsOf(id) & kReserved) ? -1 : id;
  }
  std::vector<uint32_t> seed(std::string_view text, MergeScratch &merging) const;
  void write(std::string_view text, Writer &writer) const;

  const Vocabulary &vocabulary;
  std::span<const float> scores;
  PieceTrie userDefined;
  SentencePieceOutput output;
  bool hasUnused = false;
};

// Fills in the symbols; returns where those that never merge start.
std::vector<uint32_t> SentencePieceBpe::seed(std::string_view text, MergeScratch &merging) const {
  std::vector<uint32_t> frozen;
  for (size_t at = 0; at < text.size();) {
    auto length = uint32_t(userDefined.longestPrefix(text.substr(at)));
    if (length)
      frozen.push_back(uint32_t(at));
    else
      length = decodeFirst(text.substr(at)).bytes;
    merging.add(-1, uint32_t(at), length);
    at += length;
  }
  return frozen;
}

Expected<void> SentencePieceBpe::encode(std::string_view text, EncodeScratch &scratch,
                                        std::vector<TokenId> &ids) const {
  MergeScratch &merging = scratch.merging;
  merging.symbols.clear();
  std::vector<uint32_t> frozen = seed(text, merging);
  auto isFrozen = [&](const Symbol &symbol) {
    return !frozen.empty() && std::binary_search(frozen.begin(), frozen.end(), symbol.start);
  };
  Halves halves;
  mergeSymbols(merging, [&](const Symbol &left, const Symbol &right) {
    if (isFrozen(left) || isFrozen(right))
      return Merge{0, -1};
    std::string_view both = text.substr(left.start, left.bytes + right.bytes);
    TokenId id = findPiece(both);
    if (id < 0)
      return Merge{0, -1};
    if (vocabulary.flagsOf(id) == 0)
      halves[both] = left.bytes;
    return Merge{rankOfScore(scores[size_t(id)]), id};
  });
  Writer writer{halves, ids};
  for (const Symbol &symbol : merging.symbols)
    write(text.substr(symbol.start, symbol.bytes), writer);
  return {};
}

void SentencePieceBpe::write(std::string_view text, Writer &writer) const {
  TokenId id = findPiece(text);
  auto unused = id >= 0 && vocabulary.flagsOf(id) == 0 ? writer.halves.find(text) : writer.halves.end();
  if (unused == writer.halves.end())
    return output.append(id < 0 ? output.unknownId() : id, text, writer.isBehindUnknown, writer.ids);
  write(text.substr(0, unused->second), writer);
  write(text.substr(unused->second), writer);
}

} // namespace

Expected<std::unique_ptr<Model>> openSentencePieceBpe(const Json &config, const Vocabulary &vocabulary,
                                                      const BlobReader &blob) {
  LLMC_TRY(scores, blob.array<float>(BlobSection::PieceScores));
  LLMC_TRY(units, blob.array<TrieUnit>(BlobSection::PieceTrie));
  LLMC_TRY(userDefined, PieceTrie::open(units, vocabulary.size()));
  LLMC_TRY(output, SentencePieceOutput::open(config, vocabulary));
  if (scores.size() != vocabulary.size())
    return BlobReader::damaged();
  return std::make_unique<SentencePieceBpe>(vocabulary, scores, userDefined, output);
}

} // namespace llmc
