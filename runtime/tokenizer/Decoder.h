// Decoders of tokenizer.json: pieces to text.
#pragma once

#include "runtime/tokenizer/TextPattern.h"

#include <memory>
#include <vector>

namespace llmc {

class Decoder {
public:
  // `spec`: the JSON of a decoder, or null for pieces joined by spaces. Errors: Unsupported, naming the component;
  // InvalidInput.
  static Expected<Decoder> fromJson(const Json &spec);

  // Bytes that are no text stay as they are, where the reference puts U+FFFD.
  Expected<std::string> decode(std::vector<std::string> pieces) const;

  struct Step {
    virtual ~Step() = default;
    virtual Expected<void> decode(std::vector<std::string> &pieces) const = 0;
  };

private:
  Expected<void> add(const Json &spec, int depth);
  Expected<void> addSimple(const Json &spec, std::string_view type);

  std::vector<std::unique_ptr<const Step>> steps;
  bool joinsBySpace = false;
};

// The byte that a piece "<0x0A>" stands for.
std::optional<uint8_t> byteOfPiece(std::string_view piece);

} // namespace llmc
