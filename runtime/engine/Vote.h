// Self-consistency: of several texts the answer that most of them come to. Source: arXiv:2203.11171
#pragma once

#include "runtime/tokenizer/Regex.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace llmc {

// Finds the answer in a text: the last match of a pattern; without one the last number, its commas left out, else the last line.
class AnswerFinder {
public:
  // `pattern` empty: none. Errors: InvalidInput, naming it.
  static Expected<AnswerFinder> create(const std::string &pattern);
  // Empty if there is none. `text` is UTF-8. Errors: InvalidInput if matching takes too long.
  Expected<std::string> find(std::string_view text) const;

private:
  AnswerFinder(Regex regex, bool isNumber) : regex(std::move(regex)), isNumber(isNumber) {}
  Regex regex;
  bool isNumber;
};

struct Votes {
  std::vector<int64_t> counts; // [answers] how many are the same; 0 for an empty one
  size_t winner = 0;           // the first of the most frequent; the first of all, if all are empty
};
Votes countVotes(std::span<const std::string> answers);

} // namespace llmc
