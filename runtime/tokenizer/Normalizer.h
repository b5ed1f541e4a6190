// Normalizers of tokenizer.json: text to text, before it is cut.
#pragma once

#include "runtime/tokenizer/TextPattern.h"

#include <vector>

namespace llmc {

// Text on its way through the normalizers.
struct NormalizedText {
  std::string text;
  // Whether its first character stands for the first character of the input; Metaspace's "first" asks.
  bool isAtStart = false;
  // No normalization may make the text longer than this.
  size_t maxBytes = 0;

  NormalizedText(std::string_view input, bool isAtStart)
      : text(input), isAtStart(isAtStart), maxBytes(64 * input.size() + (size_t(1) << 16)) {}
};

class Normalizer {
public:
  // `spec`: the JSON of a normalizer, or null for none. Errors: Unsupported, naming the component; InvalidInput.
  static Expected<Normalizer> fromJson(const Json &spec);

  bool empty() const { return steps.empty(); }
  // `value.text`: well-formed UTF-8. Errors: InvalidInput past the regex engine's limits, or where the text grows
  // beyond `maxBytes`.
  Expected<void> apply(NormalizedText &value, RegexScratch &scratch) const;

  struct Step {
    virtual ~Step() = default;
    virtual Expected<void> apply(NormalizedText &value, RegexScratch &scratch) const = 0;
  };

private:
  Expected<void> add(const Json &spec, int depth);
  Expected<void> addSimple(const Json &spec, std::string_view type);

  std::vector<std::unique_ptr<const Step>> steps;
};

} // namespace llmc
