// Pre-tokenizers of tokenizer.json: they cut normalized text into the words that the model encodes one by one.
#pragma once

#include "runtime/tokenizer/TextPattern.h"

#include <memory>
#include <vector>

namespace llmc {

struct Word {
  std::string_view text;
  bool isAtStart; // see NormalizedText
};

// Receives the words in order. `word` is valid during the call only. Returns false to stop.
class WordSink {
public:
  virtual bool word(Word word) = 0;

protected:
  ~WordSink() = default;
};

// How a delimiter is treated.
enum class SplitBehavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };

class PreTokenizer {
public:
  // `spec`: the JSON of a pre-tokenizer, or null for none. Errors: Unsupported, naming the component; InvalidInput.
  static Expected<PreTokenizer> fromJson(const Json &spec);

  bool empty() const { return steps.empty() && !writesBytes; }
  // Whether words are bytes which the model sees in ByteLevel's writing: a ByteLevel at the end of the steps is left to
  // the model, which then looks up words by their bytes.
  bool endsInByteLevel() const { return writesBytes; }
  // Errors: InvalidInput past the regex engine's limits, or from the sink's `failure`.
  Expected<void> cut(Word text, RegexScratch &scratch, WordSink &sink) const;

  struct Run;
  struct Step {
    virtual ~Step() = default;
    // Passes parts of `word` on to run.next(); returns false when told to stop.
    virtual bool cut(Word word, Run &run, size_t next) const = 0;
  };
  struct Run {
    const PreTokenizer &owner;
    RegexScratch &scratch;
    WordSink &sink;
    MatchFailure failure;
    // Feeds a part to the steps from `step` on; empty parts vanish.
    bool next(Word part, size_t step);
  };

private:
  Expected<void> add(const Json &spec, int depth);
  Expected<void> addSimple(const Json &spec, std::string_view type);
  Expected<void> addByteLevel(const Json &spec);
  Expected<void> addMetaspace(const Json &spec);
  Expected<void> addSplit(const Json &spec);

  std::vector<std::unique_ptr<const Step>> steps;
  bool writesBytes = false;
};

} // namespace llmc
