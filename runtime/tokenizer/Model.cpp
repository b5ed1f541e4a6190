#include "runtime/tokenizer/Model.h"

#include "runtime/support/Text.h"

namespace llmc {

Expected<std::unique_ptr<Model>> Model::open(const Json &config, const Vocabulary &vocabulary, const BlobReader &blob) {
  auto type = jsonString(config, "type").value_or("");
  if (type == "BPE")
    return openBpe(config, vocabulary);
  if (type == "ScoredBPE")
    return openScoredBpe(config, vocabulary, blob);
  if (type == "WordPiece")
    return openWordPiece(config, vocabulary);
  if (type == "WordLevel")
    return openWordLevel(config, vocabulary);
  if (type == "Unigram")
    return openUnigram(config, vocabulary, blob);
  if (type == "SentencePieceBPE")
    return openSentencePieceBpe(config, vocabulary, blob);
  if (type == "SentencePieceUnigram")
    return openSentencePieceUnigram(config, vocabulary, blob);
  if (type == "SentencePieceChar" || type == "SentencePieceWord")
    return openSentencePieceWords(config, vocabulary, blob);
  return unsupported("tokenizer: model " + quoteText(type) + " is not supported");
}

std::array<TokenId, 256> bytePieces(const Vocabulary &vocabulary) {
  std::array<TokenId, 256> ids;
  for (size_t byte = 0; byte < 256; ++byte) {
    constexpr char kHex[] = "0123456789ABCDEF";
    char piece[] = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    ids[byte] = vocabulary.findInModel({piece, sizeof(piece)});
  }
  return ids;
}

Expected<TokenId> configId(const Json &config, std::string_view key, const Vocabulary &vocabulary) {
  const Json *value = jsonMember(config, key);
  if (!value)
    return -1;
  auto id = jsonInt(*value);
  if (!id || *id < 0 || uint64_t(*id) >= vocabulary.size())
    return invalidInput("tokenizer: '" + std::string(key) + "': want an id below " + std::to_string(vocabulary.size()));
  return TokenId(*id);
}

} // namespace llmc
