// Models: a word to ids.
#pragma once

#include "runtime/support/Json.h"
#include "runtime/tokenizer/BestPath.h"
#include "runtime/tokenizer/Merging.h"
#include "runtime/tokenizer/Regex.h"
#include "runtime/tokenizer/WordCache.h"

#include <memory>

namespace llmc {

// Everything that one encode call writes to; reused by later calls.
struct EncodeScratch {
  RegexScratch regex;
  MergeScratch merging;
  WordCache cache;
  BestPath<double> path;
  BestPath<float> floatPath;
  std::string written; // a word in ByteLevel's writing
};

class Model {
public:
  virtual ~Model() = default;
  // Appends the ids of a word. Thread-safe. Errors: InvalidInput if the word holds what the vocabulary can't express.
  virtual Expected<void> encode(std::string_view word, EncodeScratch &scratch, std::vector<TokenId> &ids) const = 0;
  // Whether cutting text at a WordSplitter's boundaries leaves the ids alone.
  virtual bool allowsBoundaries() const { return false; }

  // `config`: the blob's "model" object. `vocabulary` outlives the model. Errors: Unsupported, InvalidInput.
  static Expected<std::unique_ptr<Model>> open(const Json &config, const Vocabulary &vocabulary,
                                               const BlobReader &blob);
};

// One per kind; each in a file of its own.
Expected<std::unique_ptr<Model>> openBpe(const Json &config, const Vocabulary &vocabulary);
Expected<std::unique_ptr<Model>> openScoredBpe(const Json &config, const Vocabulary &vocabulary,
                                               const BlobReader &blob);
Expected<std::unique_ptr<Model>> openWordPiece(const Json &config, const Vocabulary &vocabulary);
Expected<std::unique_ptr<Model>> openWordLevel(const Json &config, const Vocabulary &vocabulary);
Expected<std::unique_ptr<Model>> openUnigram(const Json &config, const Vocabulary &vocabulary, const BlobReader &blob);
Expected<std::unique_ptr<Model>> openSentencePieceBpe(const Json &config, const Vocabulary &vocabulary,
                                                      const BlobReader &blob);
Expected<std::unique_ptr<Model>> openSentencePieceUnigram(const Json &config, const Vocabulary &vocabulary,
                                                          const BlobReader &blob);
Expected<std::unique_ptr<Model>> openSentencePieceWords(const Json &config, const Vocabulary &vocabulary,
                                                        const BlobReader &blob);

// The ids of "<0x00>" to "<0xFF>"; -1 for those that are missing.
std::array<TokenId, 256> bytePieces(const Vocabulary &vocabulary);

// An optional id of the config, checked against the vocabulary; -1 if absent or null.
Expected<TokenId> configId(const Json &config, std::string_view key, const Vocabulary &vocabulary);

} // namespace llmc
