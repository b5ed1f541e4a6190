#include "runtime/engine/Vote.h"

#include <algorithm>

namespace llmc {
namespace {

// Not the end of a word or of another number, so that "7-3" holds 3 and not -3.
constexpr const char *numberPattern = R"((?<![0-9A-Za-z_.])[-+]?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?)";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  size_t begin = text.find_first_not_of(blanks);
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

std::string lastLine(std::string_view text) {
  text = trimmed(text);
  size_t end = text.find_last_of('\n');
  return std::string(trimmed(end == std::string_view::npos ? text : text.substr(end)));
}

} // namespace

Expected<AnswerFinder> AnswerFinder::create(const std::string &pattern) {
  auto regex = Regex::compile(pattern.empty() ? numberPattern : pattern);
  if (!regex)
    return invalidInput("answer: " + regex.error().message);
  return AnswerFinder(std::move(*regex), pattern.empty());
}

Expected<std::string> AnswerFinder::find(std::string_view text) const {
  RegexScratch scratch;
  MatchFinder matches(regex, text, scratch);
  std::optional<std::string> last;
  while (matches.next())
    last = text.substr(matches.start(), matches.end() - matches.start());
  if (matches.failed())
    return std::unexpected(matches.error());
  if (!isNumber)
    return std::string(trimmed(last.value_or("")));
  if (!last)
    return lastLine(text);
  std::erase(*last, ',');
  return last->starts_with('+') ? last->substr(1) : *last;
}

Votes countVotes(std::span<const std::string> answers) {
  Votes votes;
  for (const std::string &answer : answers)
    votes.counts.push_back(answer.empty() ? 0 : std::ranges::count(answers, answer));
  if (!answers.empty())
    votes.winner = size_t(std::ranges::max_element(votes.counts) - votes.counts.begin());
  return votes;
}

} // namespace llmc
