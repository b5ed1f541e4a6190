// Text to token ids and back.
//
//   Expected<Tokenizer> t = Tokenizer::fromHuggingFace(directoryOrTokenizerJson);
//   std::vector<TokenId> ids = *t->encode("Hello", {.addSpecial = true});
//
// A tokenizer is read from a tokenizer.json (Hugging Face `tokenizers`), SentencePiece's own .model file, or a GGUF
// file's metadata, and can be written as a compact blob which an artifact embeds and which loads in milliseconds.
// Thread-safe after construction (const methods).
#pragma once

#include "runtime/support/Error.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace llmc {

using TokenId = int32_t;
class Gguf;

struct EncodeOptions {
  bool addSpecial = true;    // add BOS/EOS as the model's post-processor (or GGUF's add_bos_token) says
  bool parseSpecial = false; // text of special tokens becomes their ids, else it is ordinary text
};

class Tokenizer {
public:
  // `path`: a tokenizer.json or .model file, or a directory that holds one: tokenizer.json, else tokenizer.model, else
  // spiece.model. tokenizer_config.json, special_tokens_map.json, added_tokens.json and generation_config.json beside it
  // are read for special tokens. Padding and truncation that a file asks for are left to the caller: a text has all its
  // ids.
  static Expected<Tokenizer> fromHuggingFace(const std::string &path);
  static Expected<Tokenizer> fromGguf(const Gguf &file);
  static Expected<Tokenizer> fromBlob(std::span<const std::byte> blob); // the blob must outlive the tokenizer
  std::string toBlob() const;

  Tokenizer(Tokenizer &&) noexcept;
  Tokenizer &operator=(Tokenizer &&) noexcept;
  ~Tokenizer();

  // Errors: InvalidInput on text that is not UTF-8 where the model needs it, or past the regex engine's limits.
  Expected<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options = {}) const;
  // Bytes of the ids. Special (control) tokens are left out unless `special`. Unknown ids: InvalidInput.
  Expected<std::string> decode(std::span<const TokenId> ids, bool special = false) const;

  size_t size() const; // ids are 0 … size()-1
  std::optional<TokenId> find(std::string_view piece) const;
  std::string_view piece(TokenId id) const; // as stored in the vocabulary; empty if out of range
  bool isSpecial(TokenId id) const;
  std::optional<TokenId> bos() const;
  std::optional<TokenId> eos() const;
  // All ids that end generation, ascending: generation_config.json's eos_token_id where it has one, else config.json's,
  // else eos(); of a GGUF file its eos, eot and eom ids and the pieces that are known to end a turn.
  const std::vector<TokenId> &stopTokens() const;

  struct Impl; // internal to runtime/tokenizer

private:
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

// Decodes one token at a time and hands out only whole UTF-8 characters; `flush` gives what is left. The parts joined
// are the decoded text, with U+FFFD for bytes that never became a character. Special tokens give nothing.
// Thread-compatible; the tokenizer outlives it.
class StreamDecoder {
public:
  explicit StreamDecoder(const Tokenizer &tokenizer) : tokenizer(tokenizer) {}
  std::string push(TokenId id);
  std::string flush(); // and begins anew

private:
  const Tokenizer &tokenizer;
  std::vector<TokenId> window; // the last tokens, so that the next one is decoded in its place
  std::string windowText;
  std::string pending; // the begin of a character
};

} // namespace llmc
