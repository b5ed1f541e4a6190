// SentencePiece's unigram model: user-defined pieces always win.
// Source: https://github.com/google/sentencepiece/blob/master/src/unigram_model.cc, EncodeOptimized
#include "runtime/tokenizer/SentencePieceOutput.h"

#include <limits>

namespace llmc {
namespace {

constexpr float kUnknownPenalty = 10;
constexpr double kUserDefinedPenalty = 0.1;

class SentencePieceUnigram final : public Model {
public:
  SentencePieceUnigram(const Vocabulary &vocabulary, std::span<const float> scores, PieceTrie trie,
                       SentencePieceOutput output)
      : vocabulary(vocabulary), scores(scores), trie(trie), output(output) {
    for (size_t id = 0; id < vocabulary.size(); ++id)
      if (vocabulary.flagsOf(TokenId(id)) & kPieceNormal) {
        least = std::min(least, scores[id]);
        greatest = std::max(greatest, scores[id]);
      }
  }

  Expected<void> encode(std::string_view text, EncodeScratch &scratch, std::vector<TokenId> &ids) const override {
    // Sums are float32, rounded before they are compared, as the reference has them: they decide ties.
    auto scoreOf = [&](TokenId id, size_t bytes) {
      bool isUsers = vocabulary.flagsOf(id) & kPieceUserDefined;
      return isUsers ? double(float(bytes) * greatest) - kUserDefinedPenalty : double(scores[size_t(id)]);
    };
    scratch.floatPath.find(trie, text, output.unknownId(), least - kUnknownPenalty, scoreOf);
    bool isBehindUnknown = false;
    for (const Segment &segment : scratch.floatPath.segments)
      output.append(segment.id, text.substr(segment.start, segment.end - segment.start), isBehindUnknown, ids);
    return {};
  }

private:
  const Vocabulary &vocabulary;
  std::span<const float> scores;
  PieceTrie trie;
  SentencePieceOutput output;
  // Of normal pieces. The reference begins with the least positive float.
  float least = std::numeric_limits<float>::max(), greatest = std::numeric_limits<float>::min();
};

} // namespace

Expected<std::unique_ptr<Model>> openSentencePieceUnigram(const Json &config, const Vocabulary &vocabulary,
                                                          const BlobReader &blob) {
  LLMC_TRY(scores, blob.array<float>(BlobSection::PieceScores));
  LLMC_TRY(units, blob.array<TrieUnit>(BlobSection::PieceTrie));
  LLMC_TRY(trie, PieceTrie::open(units, vocabulary.size()));
  LLMC_TRY(output, SentencePieceOutput::open(config, vocabulary));
  if (scores.size() != vocabulary.size())
    return BlobReader::damaged();
  return std::make_unique<SentencePieceUnigram>(vocabulary, scores, trie, output);
}

} // namespace llmc
