#include "runtime/tools/Sequences.h"

#include <algorithm>

namespace llmc {

void Sequences::add(const llmc_sequence &sequence) {
  ids.emplace_back(sequence.tokens, sequence.tokens + sequence.token_count);
  scores.push_back(sequence.score);
  if (!sequence.text)
    return;
  texts.emplace_back(sequence.text, size_t(sequence.text_bytes));
  answers.emplace_back(sequence.answer, size_t(sequence.answer_bytes));
  votes.push_back(sequence.votes);
}

// Each answer once, the most frequent first, of equals the earlier.
std::vector<std::pair<std::string, int64_t>> Sequences::tally() const {
  std::vector<std::pair<std::string, int64_t>> counts;
  for (size_t i = 0; i < answers.size(); ++i) {
    bool isKnown = std::ranges::any_of(counts, [&](const auto &known) { return known.first == answers[i]; });
    if (votes[i] == 0 || isKnown)
      continue;
    auto place = std::ranges::find_if(counts, [&](const auto &known) { return known.second < votes[i]; });
    counts.insert(place, {answers[i], votes[i]});
  }
  return counts;
}

std::string Sequences::answer() const {
  auto counts = tally();
  return counts.empty() ? std::string() : counts.front().first;
}

Json Sequences::json() const {
  if (!areSamples())
    return {{"sequences", ids}, {"scores", scores}};
  Json result{{"sequences", ids}, {"texts", texts}};
  auto counts = tally();
  if (counts.empty())
    return result;
  result["answers"] = answers;
  result["answer"] = counts.front().first;
  for (const auto &[answer, count] : counts)
    result["votes"][answer] = count;
  return result;
}

std::string Sequences::listing(bool asIds) const {
  std::string lines;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!asIds) {
      lines += "--- " + std::to_string(i + 1) + " of " + std::to_string(ids.size()) + "\n" + texts[i] + "\n";
      continue;
    }
    for (size_t token = 0; token < ids[i].size(); ++token)
      lines += (token ? "," : "") + std::to_string(ids[i][token]);
    lines += "\n";
  }
  return lines;
}

std::string Sequences::votesText() const {
  std::string lines;
  for (const auto &[answer, count] : tally())
    lines += std::to_string(count) + " of " + std::to_string(ids.size()) + ": " + answer + "\n";
  return lines;
}

} // namespace llmc
