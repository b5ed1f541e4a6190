// SentencePiece's .model file: a protocol buffer with the pieces and how text is normalized.
// Source: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
#pragma once

#include "runtime/support/Error.h"

#include <optional>
#include <string_view>
#include <vector>

namespace llmc {

struct SentencePieceModel {
  enum class Type { Unigram = 1, Bpe = 2, Word = 3, Char = 4 };
  enum class PieceType { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };
  struct Piece {
    std::string_view text; // not empty, UTF-8
    float score = 0;       // not NaN
    PieceType type = PieceType::Normal;
  };
  struct Normalization {
    std::string_view charsMap;
    bool addsDummyPrefix = true, removesExtraSpaces = true, escapesSpaces = true;
  };

  Type type = Type::Unigram;
  std::vector<Piece> pieces;
  Normalization normalization;
  std::string_view denormalizer; // rules for decoded text; empty in nearly every file
  bool treatsSpaceAsSuffix = false, fallsBackToBytes = false;
  std::string_view unknownSurface = " \xE2\x81\x87 "; // what an unknown piece decodes to
  int64_t bosId = 1, eosId = 2;                       // may name no piece
};

// `bytes` outlive the result. Errors: InvalidInput, naming the message and the place in it.
Expected<SentencePieceModel> parseSentencePieceModel(std::string_view bytes);

} // namespace llmc
