// Several continuations of one prompt, collected and written for the user of llmc and llmc-run.
#pragma once

#include "llmc/llmc.h"
#include "runtime/support/Json.h"

#include <string>
#include <vector>

namespace llmc {

class Sequences {
public:
  void add(const llmc_sequence &sequence);
  bool areSamples() const { return !texts.empty(); }
  bool empty() const { return ids.empty(); }

  // Of beam search {"sequences", "scores"}; of samples {"sequences", "texts"} and, if there was a vote, {"answers", "answer", "votes"}.
  Json json() const;
  // Samples as lines of ids, or as texts with a line "--- 1 of 4" before each.
  std::string listing(bool asIds) const;
  // The most frequent answer; empty if nobody voted for any.
  std::string answer() const;
  // "3 of 8: 42", a line for each answer, the most frequent first.
  std::string votesText() const;

private:
  std::vector<std::pair<std::string, int64_t>> tally() const;

  std::vector<std::vector<int32_t>> ids;
  std::vector<double> scores;
  std::vector<std::string> texts, answers;
  std::vector<int64_t> votes; // of the answer of each
};

} // namespace llmc
