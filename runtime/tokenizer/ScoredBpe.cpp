// SentencePiece's byte-pair encoding: any two neighbours whose text is a piece merge, the best score first; what is no
// piece in the end becomes bytes.
// Source: arXiv:1808.06226; ties as in llama.cpp.
#include "runtime/tokenizer/Model.h"
#include "runtime/tokenizer/ScoreRank.h"
#include "runtime/tokenizer/Unicode.h"

namespace llmc {
namespace {

class ScoredBpe final : public Model {
public:
  static Expected<std::unique_ptr<Model>> open(const Json &config, const Vocabulary &vocabulary,
                                               const BlobReader &blob);

  Expected<void> encode(std::string_view word, EncodeScratch &scratch, std::vector<TokenId> &ids) const override;
  bool allowsBoundaries() const override { return true; }

private:
  ScoredBpe(const Vocabulary &vocabulary, std::span<const float> scores) : vocabulary(vocabulary), scores(scores) {}

  const Vocabulary &vocabulary;
  std::span<const float> scores;
  TokenId unknown = -1;
  std::array<TokenId, 256> bytes;
};

Expected<std::unique_ptr<Model>> ScoredBpe::open(const Json &config, const Vocabulary &vocabulary,
                                                 const BlobReader &blob) {
  LLMC_TRY(scores, blob.array<float>(BlobSection::PieceScores));
  if (scores.size() != vocabulary.size())
    return BlobReader::damaged();
  std::unique_ptr<ScoredBpe> model(new ScoredBpe(vocabulary, scores));
  LLMC_TRY(unknown, configId(config, "unk_id", vocabulary));
  model->unknown = unknown;
  model->bytes = bytePieces(vocabulary);
  for (size_t byte = 0; byte < 256; ++byte)
    if (char text = char(byte); model->bytes[byte] < 0)
      model->bytes[byte] = vocabulary.find({&text, 1});
  return model;
}

Expected<void> ScoredBpe::encode(std::string_view word, EncodeScratch &scratch, std::vector<TokenId> &ids) const {
  MergeScratch &merging = scratch.merging;
  merging.symbols.clear();
  for (size_t at = 0; at < word.size();) {
    auto length = uint32_t(std::min<size_t>(announcedBytes(uint8_t(word[at])), word.size() - at));
    merging.add(-1, uint32_t(at), length);
    at += length;
  }
  mergeSymbols(merging, [&](const Symbol &left, const Symbol &right) {
    TokenId id = vocabulary.find(word.substr(left.start, left.bytes + right.bytes));
    return id < 0 ? Merge{0, -1} : Merge{rankOfScore(scores[size_t(id)]), id};
  });
  for (const Symbol &symbol : merging.symbols) {
    std::string_view text = word.substr(symbol.start, symbol.bytes);
    TokenId id = symbol.id >= 0 ? symbol.id : vocabulary.find(text);
    if (id >= 0) {
      ids.push_back(id);
      continue;
    }
    for (char c : text) {
      TokenId byte = bytes[uint8_t(c)] >= 0 ? bytes[uint8_t(c)] : unknown;
      if (byte < 0)
        return invalidInput("text: byte " + std::to_string(uint8_t(c)) + " has no piece in this vocabulary");
      ids.push_back(byte);
    }
  }
  return {};
}

} // namespace

Expected<std::unique_ptr<Model>> openScoredBpe(const Json &config, const Vocabulary &vocabulary,
                                               const BlobReader &blob) {
  return ScoredBpe::open(config, vocabulary, blob);
}

} // namespace llmc
