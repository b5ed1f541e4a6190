#include "runtime/tokenizer/Regex.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/RegexSyntax.h"
#include "runtime/tokenizer/Unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace llmc {
namespace {

constexpr uint32_t kMatchLimit = 10'000'000;
constexpr uint32_t kHeapLimitKiB = 32 << 10;
constexpr size_t kFirstStackBytes = size_t(64) << 10, kMaxStackBytes = size_t(32) << 20;
constexpr size_t kMaxPatternBytes = 32 << 10;

std::string describe(int code) {
  PCRE2_UCHAR buffer[160];
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char *>(buffer);
}

} // namespace

void RegexScratch::Free::operator()(pcre2_real_match_data_8 *data) const { pcre2_match_data_free(data); }
void RegexScratch::Free::operator()(pcre2_real_match_context_8 *context) const { pcre2_match_context_free(context); }
void RegexScratch::Free::operator()(pcre2_real_jit_stack_8 *stack) const { pcre2_jit_stack_free(stack); }
void Regex::Free::operator()(pcre2_real_code_8 *code) const { pcre2_code_free(code); }

RegexScratch::RegexScratch() : data(pcre2_match_data_create(1, nullptr)), context(pcre2_match_context_create(nullptr)) {
  if (!context)
    return;
  pcre2_set_match_limit(context.get(), kMatchLimit);
  pcre2_set_heap_limit(context.get(), kHeapLimitKiB);
}

bool RegexScratch::addStack() {
  if (stack)
    return false;
  stack.reset(pcre2_jit_stack_create(kFirstStackBytes, kMaxStackBytes, nullptr));
  if (stack)
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  return stack != nullptr;
}

Expected<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes)
    return unsupported("regular expression of " + std::to_string(pattern.size()) + " bytes: want at most " +
                       std::to_string(kMaxPatternBytes));
  LLMC_TRY(translated, translateRegex(pattern));
  std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  if (!context)
    return internalError("regular expression: out of memory");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE at = 0;
  Regex regex;
  regex.code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &at,
                                 context.get()));
  if (!regex.code)
    return unsupported("regular expression " + quoteText(pattern) + ": " + describe(error));
  // Where a process may not make code, matching is slower and otherwise the same.
  regex.hasJit = pcre2_jit_compile(regex.code.get(), PCRE2_JIT_COMPLETE) == 0;
  return regex;
}

bool MatchFinder::search() {
  if (!scratch.data || !scratch.context) {
    failure = PCRE2_ERROR_NOMEMORY;
    return false;
  }
  auto *subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  pcre2_match_data *data = scratch.data.get();
  pcre2_match_context *context = scratch.context.get();
  int result = PCRE2_ERROR_JIT_STACKLIMIT;
  if (regex.hasJit)
    do
      result = pcre2_jit_match(regex.code.get(), subject, text.size(), from, 0, data, context);
    while (result == PCRE2_ERROR_JIT_STACKLIMIT && scratch.addStack());
  else
    result = pcre2_match(regex.code.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, data, context);
  if (result < 0) {
    failure = result == PCRE2_ERROR_NOMATCH ? 0 : result;
    return false;
  }
  const PCRE2_SIZE *range = pcre2_get_ovector_pointer(data);
  matchStart = range[0];
  matchEnd = range[1];
  return matchStart <= matchEnd; // \K in a look-around can turn them round
}

bool MatchFinder::next() {
  size_t lastEnd = matchEnd;
  while (from <= text.size() && search()) {
    bool isRepeat = matchStart == matchEnd && hasMatched && matchEnd == lastEnd;
    if (!isRepeat) {
      from = matchEnd;
      hasMatched = true;
      return true;
    }
    from += from < text.size() ? decodeFirst(text.substr(from)).bytes : 1;
  }
  matchEnd = lastEnd;
  return false;
}

Error MatchFinder::error() const {
  return {ErrorCode::InvalidInput, "text of " + std::to_string(text.size()) +
                                       " bytes: a regular expression of the tokenizer gave up: " + describe(failure)};
}

} // namespace llmc
