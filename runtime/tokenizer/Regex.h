// Regular expressions of pre-tokenizers and normalizers, on PCRE2 with limits.
//
//   LLMC_TRY(regex, Regex::compile("\\p{L}+"));
//   RegexScratch scratch;
//   MatchFinder matches(regex, text, scratch);
//   while (matches.next()) use(matches.start(), matches.end());
//   if (matches.failed()) return matches.error();
#pragma once

#include "runtime/support/Error.h"

#include <memory>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;
struct pcre2_real_jit_stack_8;

namespace llmc {

// Working memory of matching; one per thread at a time.
class RegexScratch {
public:
  RegexScratch();
  RegexScratch(RegexScratch &&) noexcept = default;
  RegexScratch &operator=(RegexScratch &&) noexcept = default;

  // Whether a match needed more than the usual stack, which may have become large.
  bool hasStack() const { return stack != nullptr; }

private:
  friend class MatchFinder;
  bool addStack(); // false if it has one

  struct Free {
    void operator()(pcre2_real_match_data_8 *data) const;
    void operator()(pcre2_real_match_context_8 *context) const;
    void operator()(pcre2_real_jit_stack_8 *stack) const;
  };
  std::unique_ptr<pcre2_real_jit_stack_8, Free> stack;
  std::unique_ptr<pcre2_real_match_data_8, Free> data;
  std::unique_ptr<pcre2_real_match_context_8, Free> context;
};

// Immutable, so usable from several threads at once.
class Regex {
public:
  // `pattern`: in Oniguruma's syntax. Errors: Unsupported, naming the pattern and what is wrong with it.
  static Expected<Regex> compile(std::string_view pattern);

private:
  friend class MatchFinder;
  struct Free {
    void operator()(pcre2_real_code_8 *code) const;
  };
  std::unique_ptr<pcre2_real_code_8, Free> code;
  bool hasJit = false;
};

// The matches in a text, left to right, not overlapping; an empty match right behind a match is skipped.
class MatchFinder {
public:
  // `text`: well-formed UTF-8; it and the others outlive the finder.
  MatchFinder(const Regex &regex, std::string_view text, RegexScratch &scratch)
      : regex(regex), text(text), scratch(scratch) {}

  bool next(); // false at the end, and when the engine's limits were passed
  size_t start() const { return matchStart; }
  size_t end() const { return matchEnd; }
  bool failed() const { return failure != 0; }
  Error error() const; // InvalidInput: the text needs more steps or memory than a match may take

private:
  bool search();

  const Regex &regex;
  std::string_view text;
  RegexScratch &scratch;
  size_t from = 0, matchStart = 0, matchEnd = 0;
  bool hasMatched = false;
  int failure = 0;
};

} // namespace llmc
