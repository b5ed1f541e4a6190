// The unigram language model: the segmentation with the best sum of scores.
// Source: arXiv:1804.10959; ties and unknown characters as in Hugging Face `tokenizers`.
#include "runtime/tokenizer/Model.h"

#include <limits>

namespace llmc {
namespace {

constexpr double kUnknownPenalty = 10;

class Unigram final : public Model {
public:
  Unigram(const Vocabulary &vocabulary, std::span<const double> scores, PieceTrie trie)
      : vocabulary(vocabulary), scores(scores), trie(trie) {}
  static Expected<std::unique_ptr<Model>> open(const Json &config, const Vocabulary &vocabulary,
                                               const BlobReader &blob);

  Expected<void> encode(std::string_view word, EncodeScratch &scratch, std::vector<TokenId> &ids) const override;

private:
  void appendUnknown(std::string_view text, std::vector<TokenId> &ids) const;

  const Vocabulary &vocabulary;
  std::span<const double> scores;
  PieceTrie trie;
  TokenId unknown = -1;
  double unknownScore = 0;
  bool fallsBackToBytes = false;
  std::array<TokenId, 256> bytes;
};

Expected<std::unique_ptr<Model>> Unigram::open(const Json &config, const Vocabulary &vocabulary,
                                               const BlobReader &blob) {
  LLMC_TRY(scores, blob.array<double>(BlobSection::PieceScores));
  if (scores.size() != vocabulary.size())
    return BlobReader::damaged();
  LLMC_TRY(units, blob.array<TrieUnit>(BlobSection::PieceTrie));
  LLMC_TRY(trie, PieceTrie::open(units, vocabulary.size()));
  auto model = std::make_unique<Unigram>(vocabulary, scores, trie);
  LLMC_TRY(unknown, configId(config, "unk_id", vocabulary));
  model->unknown = unknown;
  model->fallsBackToBytes = jsonBool(config, "byte_fallback").value_or(false);
  model->bytes = bytePieces(vocabulary);
  double least = std::numeric_limits<double>::infinity();
  for (size_t id = 0; id < vocabulary.size(); ++id)
    if (!(vocabulary.flagsOf(TokenId(id)) & kPieceAddedOnly))
      least = std::min(least, scores[id]);
  model->unknownScore = least - kUnknownPenalty;
  return model;
}

Expected<void> Unigram::encode(std::string_view word, EncodeScratch &scratch, std::vector<TokenId> &ids) const {
  auto scoreOf = [&](TokenId id, size_t) { return scores[size_t(id)]; };
  if (!scratch.path.find(trie, word, unknown, unknownScore, scoreOf))
    return invalidInput("text: a character is not in the vocabulary, and the tokenizer has no unknown token");
  const auto &segments = scratch.path.segments;
  for (size_t i = 0; i < segments.size();) {
    if (segments[i].id != unknown) {
      ids.push_back(segments[i++].id);
      continue;
    }
    // Neighbouring unknown characters are one.
    size_t start = segments[i].start, end = start;
    for (; i < segments.size() && segments[i].id == unknown; ++i)
      end = segments[i].end;
    appendUnknown(word.substr(start, end - start), ids);
  }
  return {};
}

void Unigram::appendUnknown(std::string_view text, std::vector<TokenId> &ids) const {
  // Fused characters may happen to be a piece.
  if (TokenId id = vocabulary.findInModel(text); id >= 0)
    return ids.push_back(id);
  bool hasBytes =
      fallsBackToBytes && std::all_of(text.begin(), text.end(), [&](char c) { return bytes[uint8_t(c)] >= 0; });
  if (!hasBytes)
    return ids.push_back(unknown);
  for (char c : text)
    ids.push_back(bytes[uint8_t(c)]);
}

} // namespace

Expected<std::unique_ptr<Model>> openUnigram(const Json &config, const Vocabulary &vocabulary, const BlobReader &blob) {
  return Unigram::open(config, vocabulary, blob);
}

} // namespace llmc
