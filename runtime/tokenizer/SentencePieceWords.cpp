// SentencePiece's char and word models: a character, or a word with U+2581 at its front, is a piece or unknown.
// Source: https://github.com/google/sentencepiece/blob/master/src/char_model.cc, word_model.cc
#include "runtime/tokenizer/SentencePieceOutput.h"

namespace llmc {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";

class SentencePieceWords final : public Model {
public:
  SentencePieceWords(const Vocabulary &vocabulary, PieceTrie userDefined, bool takesCharacters,
                     SentencePieceOutput output)
      : vocabulary(vocabulary), userDefined(userDefined), takesCharacters(takesCharacters), output(output) {}

  Expected<void> encode(std::string_view text, EncodeScratch &, std::vector<TokenId> &ids) const override {
    bool isBehindUnknown = false;
    while (!text.empty()) {
      std::string_view part = text.substr(0, takesCharacters ? characterBytes(text) : wordBytes(text));
      TokenId id = vocabulary.findInModel(part);
      constexpr uint8_t kReserved = kPieceControl | kPieceUnknown;
      bool isPiece = id >= 0 && !(vocabulary.flagsOf(id) & kReserved);
      output.append(isPiece ? id : output.unknownId(), part, isBehindUnknown, ids);
      text.remove_prefix(part.size());
    }
    return {};
  }

private:
  size_t characterBytes(std::string_view text) const {
    size_t longest = userDefined.longestPrefix(text);
    return longest ? longest : decodeFirst(text).bytes;
  }
  static size_t wordBytes(std::string_view text) { return std::min(text.find(kSpace, 1), text.size()); }

  const Vocabulary &vocabulary;
  PieceTrie userDefined;
  bool takesCharacters;
  SentencePieceOutput output;
};

} // namespace

Expected<std::unique_ptr<Model>> openSentencePieceWords(const Json &config, const Vocabulary &vocabulary,
                                                        const BlobReader &blob) {
  LLMC_TRY(units, blob.array<TrieUnit>(BlobSection::PieceTrie));
  LLMC_TRY(userDefined, PieceTrie::open(units, vocabulary.size()));
  LLMC_TRY(output, SentencePieceOutput::open(config, vocabulary));
  bool takesCharacters = jsonString(config, "type") == "SentencePieceChar";
  return std::make_unique<SentencePieceWords>(vocabulary, userDefined, takesCharacters, output);
}

} // namespace llmc
