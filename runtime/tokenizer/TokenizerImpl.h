// What a Tokenizer holds. Internal to runtime/tokenizer.
#pragma once

#include "runtime/tokenizer/AddedTokens.h"
#include "runtime/tokenizer/Decoder.h"
#include "runtime/tokenizer/Model.h"
#include "runtime/tokenizer/Normalizer.h"
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/tokenizer/WordSplitter.h"

#include <mutex>

namespace llmc {

struct Tokenizer::Impl {
  // A tokenizer on `blob`, which outlives it or is its `owned`.
  static Expected<std::unique_ptr<Impl>> open(std::span<const std::byte> blob, std::string owned);
  static Expected<Tokenizer> fromParts(TokenizerParts parts);

  std::string owned;
  std::span<const std::byte> blob;
  Vocabulary vocabulary;
  AddedTokens added;
  WordSplitter splitter;
  std::unique_ptr<Model> model;
  Normalizer normalizer;
  PreTokenizer preTokenizer;
  Decoder decoder;

  // How a file that was not written for `tokenizers` wants to be read; else all false.
  bool isGguf = false;          // added tokens are found, and pieces decoded, as llama.cpp does
  bool addsSpacePrefix = false; // before text at the start and behind a token
  bool escapesSpaces = false;   // U+2581 for ' '
  bool decodesByteLevel = false;

  std::vector<TokenId> frame; // special ids around the text, which is kFrameText
  std::optional<TokenId> bos, eos;
  std::vector<TokenId> stop;
  size_t realPieces = 0;
  std::vector<std::pair<TokenId, std::string>> decodedForms; // sorted: pieces that decode as another text

  Expected<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options);
  Expected<std::string> decode(std::span<const TokenId> ids, bool special) const;

private:
  Expected<void> readConfig(const BlobReader &reader);
  Expected<void> readIds(const Json &config);

  Expected<void> encodeText(std::string_view text, bool parseSpecial, EncodeScratch &scratch,
                            std::vector<TokenId> &ids) const;
  Expected<void> encodeSegment(std::string_view text, bool isAtStart, bool parseSpecial, EncodeScratch &scratch,
                               std::vector<TokenId> &ids) const;
  Expected<void> encodeGguf(std::string_view text, bool parseSpecial, EncodeScratch &scratch,
                            std::vector<TokenId> &ids) const;
  Expected<void> encodeWords(std::string_view text, bool isAtStart, EncodeScratch &scratch,
                             std::vector<TokenId> &ids) const;
  Expected<std::string> decodeGguf(std::span<const TokenId> ids, bool special) const;

  // Scratch memory outlives a call so that its cache stays warm; each call takes one of its own.
  std::unique_ptr<EncodeScratch> takeScratch();
  void giveBack(std::unique_ptr<EncodeScratch> scratch);

  std::mutex mutex;
  std::vector<std::unique_ptr<EncodeScratch>> scratches;
};

} // namespace llmc
