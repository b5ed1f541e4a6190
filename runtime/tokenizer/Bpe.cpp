// Byte-pair encoding with a list of merges.
// Source: arXiv:1508.07909; ties and unknown characters as in Hugging Face `tokenizers`.
#include "runtime/tokenizer/ByteLevel.h"
#include "runtime/tokenizer/Model.h"
#include "runtime/tokenizer/Unicode.h"

namespace llmc {
namespace {

class Bpe final : public Model {
public:
  static Expected<std::unique_ptr<Model>> open(const Json &config, const Vocabulary &vocabulary);

  Expected<void> encode(std::string_view word, EncodeScratch &scratch, std::vector<TokenId> &ids) const override;
  bool allowsBoundaries() const override {
    return !ignoresMerges && prefix.empty() && suffix.empty() && vocabulary.findInModel("\xE2\x96\x81") >= 0;
  }

private:
  explicit Bpe(const Vocabulary &vocabulary) : vocabulary(vocabulary) {}

  TokenId characterId(uint32_t codePoint, std::string_view text) const {
    return codePoint < kDirect ? direct[codePoint] : vocabulary.findInModel(text);
  }
  bool addBytes(std::string_view text, MergeScratch &merging) const;
  void seed(std::string_view word, MergeScratch &merging) const;
  void appendSymbol(TokenId id, std::vector<TokenId> &ids) const;

  static constexpr uint32_t kDirect = 0x400;

  const Vocabulary &vocabulary;
  std::string prefix, suffix; // of pieces inside and at the end of a word
  TokenId unknown = -1;
  bool fusesUnknown = false, fallsBackToBytes = false, ignoresMerges = false;
  bool hasGhosts = false;              // pieces that only merging knows, see appendSymbol
  size_t realPieces = 0;               // ids below are the tokenizer's
  std::array<TokenId, kDirect> direct; // ids of the first characters
  std::array<TokenId, 256> bytes;
};

Expected<std::unique_ptr<Model>> Bpe::open(const Json &config, const Vocabulary &vocabulary) {
  std::unique_ptr<Bpe> model(new Bpe(vocabulary));
  model->prefix = jsonString(config, "continuing_subword_prefix").value_or("");
  model->suffix = jsonString(config, "end_of_word_suffix").value_or("");
  model->fusesUnknown = jsonBool(config, "fuse_unk").value_or(false);
  model->fallsBackToBytes = jsonBool(config, "byte_fallback").value_or(false);
  model->ignoresMerges = jsonBool(config, "ignore_merges").value_or(false);
  model->realPieces = size_t(jsonInt(config, "real_pieces").value_or(int64_t(vocabulary.size())));
  model->hasGhosts = model->realPieces < vocabulary.size();
  LLMC_TRY(unknown, configId(config, "unk_id", vocabulary));
  model->unknown = unknown;
  model->bytes = bytePieces(vocabulary);
  for (uint32_t c = 0; c < kDirect; ++c) {
    std::string text;
    appendUtf8(text, c);
    model->direct[c] = vocabulary.findInModel(text);
  }
  return model;
}

// Writes a character as byte pieces, if all of them exist.
bool Bpe::addBytes(std::string_view text, MergeScratch &merging) const {
  for (char c : text)
    if (bytes[uint8_t(c)] < 0)
      return false;
  for (char c : text)
    merging.add(bytes[uint8_t(c)], 0, 1);
  return true;
}

void Bpe::seed(std::string_view word, MergeScratch &merging) const {
  uint32_t unknownBytes = 0; // of an unknown symbol that is not out yet
  auto flush = [&] {
    if (unknownBytes)
      merging.add(unknown, 0, std::exchange(unknownBytes, 0));
  };
  bool isDecorated = !prefix.empty() || !suffix.empty();
  std::string decorated;
  for (size_t at = 0; at < word.size();) {
    auto [codePoint, length] = decodeFirst(word.substr(at));
    std::string_view text = word.substr(at, length);
    size_t start = at;
    at += length;
    TokenId id;
    if (isDecorated) {
      decorated.assign(start > 0 ? prefix : "").append(text).append(at == word.size() ? suffix : "");
      text = decorated;
      id = vocabulary.findInModel(text);
    } else {
      id = characterId(codePoint, text);
    }
    if (id >= 0) {
      flush();
      merging.add(id, 0, length);
    } else if (fallsBackToBytes && addBytes(text, merging)) {
      // As in the reference, an unknown symbol in waiting stays behind the bytes.
    } else if (unknown >= 0) {
      if (!fusesUnknown)
        flush();
      unknownBytes += length;
    }
  }
  flush();
}

// llama.cpp merges into pieces that the vocabulary lacks, and then writes them character by character.
void Bpe::appendSymbol(TokenId id, std::vector<TokenId> &ids) const {
  if (!hasGhosts || size_t(id) < realPieces) {
    ids.push_back(id);
    return;
  }
  std::string_view text = vocabulary.piece(id);
  for (size_t at = 0; at < text.size();) {
    auto [codePoint, length] = decodeFirst(text.substr(at));
    TokenId part = characterId(codePoint, text.substr(at, length));
    if (part >= 0 && size_t(part) < realPieces)
      ids.push_back(part);
    at += length;
  }
}

Expected<void> Bpe::encode(std::string_view word, EncodeScratch &scratch, std::vector<TokenId> &ids) const {
  if (ignoresMerges)
    if (TokenId id = vocabulary.findInModel(word); id >= 0 && size_t(id) < realPieces) {
      ids.push_back(id);
      return {};
    }
  MergeScratch &merging = scratch.merging;
  merging.symbols.clear();
  seed(word, merging);
  mergeSymbols(merging, [&](const Symbol &left, const Symbol &right) { return vocabulary.merge(left.id, right.id); });
  for (const Symbol &symbol : merging.symbols)
    appendSymbol(symbol.id, ids);
  return {};
}

} // namespace

Expected<std::unique_ptr<Model>> openBpe(const Json &config, const Vocabulary &vocabulary) {
  return Bpe::open(config, vocabulary);
}

} // namespace llmc
