// A template's text cut into tokens, with white space around tags as the reference treats it under trim_blocks and
// lstrip_blocks.
#pragma once

#include "runtime/template/Value.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llmc::jinja {

enum class TokenKind : uint8_t { Text, BlockBegin, BlockEnd, VariableBegin, VariableEnd, Name, String, Integer, Float, Operator, End };

struct Token {
  TokenKind kind = TokenKind::End;
  uint32_t offset = 0;
  std::string text; // of strings: what they stand for
  Value number;     // of Integer and Float
};

// `source` has \n at the end of its lines, and is UTF-8. Errors: InvalidInput with line and column.
Expected<std::vector<Token>> tokenize(const std::string &source);

} // namespace llmc::jinja
