// WordPiece (greedy longest match; arXiv:1609.08144) and WordLevel (a word is a piece).
#include "runtime/tokenizer/Model.h"
#include "runtime/tokenizer/Unicode.h"

namespace llmc {
namespace {

std::unexpected<Error> missingUnknown() {
  return invalidInput("text: a word is not in the vocabulary, and the tokenizer has no unknown token");
}

class WordLevel final : public Model {
public:
  WordLevel(const Vocabulary &vocabulary, TokenId unknown) : vocabulary(vocabulary), unknown(unknown) {}

  Expected<void> encode(std::string_view word, EncodeScratch &, std::vector<TokenId> &ids) const override {
    TokenId id = vocabulary.findInModel(word);
    if (id < 0 && unknown < 0)
      return missingUnknown();
    ids.push_back(id >= 0 ? id : unknown);
    return {};
  }

private:
  const Vocabulary &vocabulary;
  TokenId unknown;
};

class WordPiece final : public Model {
public:
  WordPiece(const Vocabulary &vocabulary, TokenId unknown, std::string prefix, size_t maxCharacters)
      : vocabulary(vocabulary), unknown(unknown), prefix(std::move(prefix)), maxCharacters(maxCharacters) {}

  Expected<void> encode(std::string_view word, EncodeScratch &scratch, std::vector<TokenId> &ids) const override {
    size_t before = ids.size();
    bool isKnown = countCharacters(word) <= maxCharacters;
    for (size_t at = 0; isKnown && at < word.size();) {
      auto [id, bytes] = longestAt(word, at, scratch.written);
      isKnown = id >= 0;
      if (isKnown)
        ids.push_back(id);
      at += bytes;
    }
    if (isKnown)
      return {};
    ids.resize(before);
    if (unknown < 0)
      return missingUnknown();
    ids.push_back(unknown);
    return {};
  }

private:
  struct Found {
    TokenId id;
    size_t bytes;
  };

  static size_t countCharacters(std::string_view text) {
    return size_t(std::count_if(text.begin(), text.end(), [](char c) { return (uint8_t(c) & 0xC0) != 0x80; }));
  }

  Found longestAt(std::string_view word, size_t at, std::string &buffer) const {
    buffer.assign(at > 0 ? prefix : "");
    size_t lead = buffer.size();
    buffer.append(word.substr(at, vocabulary.longestPiece()));
    for (size_t bytes = buffer.size(); bytes > lead; --bytes) {
      bool isWhole = bytes == buffer.size() ? at + bytes - lead == word.size() || !isTail(word[at + bytes - lead])
                                            : !isTail(buffer[bytes]);
      if (!isWhole)
        continue;
      if (TokenId id = vocabulary.findInModel(std::string_view(buffer).substr(0, bytes)); id >= 0)
        return {id, bytes - lead};
    }
    return {-1, 0};
  }
  static bool isTail(char c) { return (uint8_t(c) & 0xC0) == 0x80; }

  const Vocabulary &vocabulary;
  TokenId unknown;
  std::string prefix;
  size_t maxCharacters;
};

} // namespace

Expected<std::unique_ptr<Model>> openWordLevel(const Json &config, const Vocabulary &vocabulary) {
  LLMC_TRY(unknown, configId(config, "unk_id", vocabulary));
  return std::make_unique<WordLevel>(vocabulary, unknown);
}

Expected<std::unique_ptr<Model>> openWordPiece(const Json &config, const Vocabulary &vocabulary) {
  LLMC_TRY(unknown, configId(config, "unk_id", vocabulary));
  auto most = jsonInt(config, "max_input_chars_per_word").value_or(100);
  if (most < 0)
    return invalidInput("tokenizer.json: model 'WordPiece': 'max_input_chars_per_word': want at least 0");
  std::string prefix(jsonString(config, "continuing_subword_prefix").value_or("##"));
  return std::make_unique<WordPiece>(vocabulary, unknown, std::move(prefix), size_t(most));
}

} // namespace llmc
