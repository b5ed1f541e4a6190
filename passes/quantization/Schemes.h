// What the names q8, q6, q5, q4 and q4a stand for.
//
//   scheme | products               | token table and vocabulary product | rows that are no whole super-blocks of 256
//   q8     | Q8_0                   | Q8_0                               |
//   q6     | Q6_K                   | Q6_K                               | Q8_0
//   q5     | Q5_K                   | Q6_K                               | Q5_0, the table Q8_0
//   q4     | Q4_0 (symmetric)       | Q6_K                               | the table Q8_0
//   q4a    | Q4_K (with minima)     | Q6_K                               | Q5_0, the table Q8_0
//
// The second and last columns are what llama.cpp's quantiser does for the same formats.
#pragma once

#include "dialects/llm/Formats.h"

#include "llvm/ADT/StringRef.h"

#include <optional>

namespace llmc {

struct Scheme {
  llm::Format products, table;

  // For rows of so many elements; nothing if they stay floats.
  std::optional<llm::Format> formatFor(bool isTable, int64_t columns) const;
};

std::optional<Scheme> findScheme(llvm::StringRef name);

} // namespace llmc
