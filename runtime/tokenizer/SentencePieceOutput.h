// What SentencePiece does behind each of its models: unknown text becomes bytes, or one unknown token a run.
#pragma once

#include "runtime/tokenizer/Model.h"

namespace llmc {

class SentencePieceOutput {
public:
  // Errors: InvalidInput where the artifact names no unknown piece, or lacks byte pieces that it says are there.
  static Expected<SentencePieceOutput> open(const Json &config, const Vocabulary &vocabulary) {
    SentencePieceOutput output;
    LLMC_TRY(unknown, configId(config, "unk_id", vocabulary));
    output.unknown = unknown;
    output.fallsBackToBytes = jsonBool(config, "byte_fallback").value_or(false);
    output.bytes = bytePieces(vocabulary);
    bool lacksBytes = std::count(output.bytes.begin(), output.bytes.end(), -1) > 0;
    if (unknown < 0 || (output.fallsBackToBytes && lacksBytes))
      return BlobReader::damaged();
    return output;
  }

  TokenId unknownId() const { return unknown; }

  // Appends one segment's ids. `isBehindUnknown`: whether the segment before was unknown; updated.
  void append(TokenId id, std::string_view text, bool &isBehindUnknown, std::vector<TokenId> &ids) const {
    bool isUnknown = id == unknown;
    if (isUnknown && fallsBackToBytes)
      for (char c : text)
        ids.push_back(bytes[uint8_t(c)]);
    else if (!isUnknown || !isBehindUnknown)
      ids.push_back(id);
    isBehindUnknown = isUnknown;
  }

private:
  TokenId unknown = -1;
  bool fallsBackToBytes = false;
  std::array<TokenId, 256> bytes;
};

} // namespace llmc
