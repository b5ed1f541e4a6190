// The unigram language model: the segmentation with the best sum of scores.
// Source: arXiv:1804.10959; ties and unknown characters as in Hugging Face `tokenizers`.
#include "runtime/tokenizer/Model.h"
#include "runtime/tokenizer/Unicode.h"

#include <limits>

namespace llmc {
namespace {

class Unigram final : public Model {
public:
  Unigram(const Vocabulary &vocabulary, std::span<const double> scores) : vocabulary(vocabulary), scores(scores) {}
  static Expected<std::unique_ptr<Model>> open(const Json &config, const Vocabulary &vocabulary,
                                               const BlobReader &blob);

  Expected<void> encode(std::string_view word, EncodeScratch &scratch, std::vector<TokenId> &ids) const override;

private:
  struct Best {
    double score = 0;
    uint32_t start = 0;
    TokenId id = -1;
    bool isReached = false;
  };

  void relax(Best &best, double score, size_t start, TokenId id) const {
    if (best.isReached && !(score > best.score))
      return;
    best = {score, uint32_t(start), id, true};
  }
  Expected<void> appendUnknown(std::string_view text, std::vector<TokenId> &ids) const;

  const Vocabulary &vocabulary;
  std::span<const double> scores;
  TokenId unknown = -1;
  double unknownScore = 0;
  bool fallsBackToBytes = false;
  std::array<TokenId, 256> bytes;
  std::vector<TokenId> sorted; // pieces of the model in order of their bytes
};

constexpr double kUnknownPenalty = 10;

Expected<std::unique_ptr<Model>> Unigram::open(const Json &config, const Vocabulary &vocabulary,
                                               const BlobReader &blob) {
  LLMC_TRY(scores, blob.array<double>(BlobSection::PieceScores));
  if (scores.size() != vocabulary.size())
    return BlobReader::damaged();
  auto model = std::make_unique<Unigram>(vocabulary, scores);
  LLMC_TRY(unknown, configId(config, "unk_id", vocabulary));
  model->unknown = unknown;
  model->fallsBackToBytes = jsonBool(config, "byte_fallback").value_or(false);
  model->bytes = bytePieces(vocabulary);
  double least = std::numeric_limits<double>::infinity();
  for (size_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.flagsOf(TokenId(id)) & kPieceAddedOnly)
      continue;
    least = std::min(least, scores[id]);
    if (!vocabulary.piece(TokenId(id)).empty())
      model->sorted.push_back(TokenId(id));
  }
  model->unknownScore = least - kUnknownPenalty;
  std::sort(model->sorted.begin(), model->sorted.end(),
            [&](TokenId a, TokenId b) { return vocabulary.piece(a) < vocabulary.piece(b); });
  return model;
}

Expected<void> Unigram::encode(std::string_view word, EncodeScratch &, std::vector<TokenId> &ids) const {
  std::vector<Best> best(word.size() + 1);
  for (size_t at = 0; at < word.size();) {
    size_t length = decodeFirst(word.substr(at)).bytes;
    double soFar = best[at].score;
    bool hasSingle = false;
    // All pieces in [first, last) begin with the `depth` bytes at `at`.
    auto first = sorted.begin(), last = sorted.end();
    for (size_t depth = 0; first != last && at + depth < word.size();) {
      auto byteAt = [&](TokenId id) { return uint8_t(vocabulary.piece(id)[depth]); };
      auto wanted = uint8_t(word[at + depth]);
      first = std::partition_point(first, last, [&](TokenId id) { return byteAt(id) < wanted; });
      last = std::partition_point(first, last, [&](TokenId id) { return byteAt(id) == wanted; });
      ++depth;
      if (first == last || vocabulary.piece(*first).size() != depth)
        continue;
      relax(best[at + depth], soFar + scores[size_t(*first)], at, *first);
      hasSingle |= depth == length;
      ++first;
    }
    if (!hasSingle) {
      if (unknown < 0)
        return invalidInput("text: a character is not in the vocabulary, and the tokenizer has no unknown token");
      relax(best[at + length], soFar + unknownScore, at, unknown);
    }
    at += length;
  }
  // Backwards: neighbouring unknown characters are one.
  std::vector<std::pair<size_t, size_t>> parts; // start, end
  std::vector<TokenId> partIds;
  for (size_t end = word.size(); end > 0;) {
    const Best &node = best[end];
    bool fuses = !partIds.empty() && node.id == unknown && partIds.back() == unknown;
    if (fuses)
      parts.back().first = node.start;
    else {
      parts.emplace_back(node.start, end);
      partIds.push_back(node.id);
    }
    end = node.start;
  }
  for (size_t i = parts.size(); i-- > 0;) {
    if (partIds[i] != unknown)
      ids.push_back(partIds[i]);
    else
      LLMC_CHECK(appendUnknown(word.substr(parts[i].first, parts[i].second - parts[i].first), ids));
  }
  return {};
}

Expected<void> Unigram::appendUnknown(std::string_view text, std::vector<TokenId> &ids) const {
  // Fused characters may happen to be a piece.
  if (TokenId id = vocabulary.findInModel(text); id >= 0) {
    ids.push_back(id);
    return {};
  }
  bool hasBytes = fallsBackToBytes;
  for (char c : text)
    hasBytes = hasBytes && bytes[uint8_t(c)] >= 0;
  if (!hasBytes)
    ids.push_back(unknown);
  else
    for (char c : text)
      ids.push_back(bytes[uint8_t(c)]);
  return {};
}

} // namespace

Expected<std::unique_ptr<Model>> openUnigram(const Json &config, const Vocabulary &vocabulary, const BlobReader &blob) {
  return Unigram::open(config, vocabulary, blob);
}

} // namespace llmc
