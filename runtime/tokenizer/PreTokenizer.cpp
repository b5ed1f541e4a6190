#include "runtime/tokenizer/PreTokenizer.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/ByteLevel.h"
#include "runtime/tokenizer/Unicode.h"

#include <limits>

namespace llmc {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr int kMaxNesting = 16;

// The pattern with which GPT-2 cuts words.
constexpr std::string_view kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

using Run = PreTokenizer::Run;
using Step = PreTokenizer::Step;

// Turns matches and gaps, which arrive from left to right and cover the word, into parts.
class Splitter {
public:
  Splitter(SplitBehavior behavior, Word word, Run &run, size_t next)
      : behavior(behavior), word(word), run(run), next(next) {}

  bool add(size_t start, size_t end, bool isMatch) {
    bool wasMatch = std::exchange(lastWasMatch, isMatch);
    switch (behavior) {
    case SplitBehavior::Removed:
      return isMatch || emit(start, end);
    case SplitBehavior::Isolated:
      return emit(start, end);
    case SplitBehavior::MergedWithPrevious:
      return isMatch && !wasMatch ? extend(start, end) : replace(start, end);
    case SplitBehavior::Contiguous:
      return isMatch == wasMatch ? extend(start, end) : replace(start, end);
    case SplitBehavior::MergedWithNext:
      if (isMatch)
        return replace(start, end);
      if (isPending && wasMatch) {
        isPending = false;
        return emit(pendingStart, end);
      }
      return flush() && emit(start, end);
    }
    return false;
  }
  bool flush() { return !std::exchange(isPending, false) || emit(pendingStart, pendingEnd); }

private:
  bool emit(size_t start, size_t end) {
    return run.next({word.text.substr(start, end - start), word.isAtStart && start == 0}, next);
  }
  bool extend(size_t start, size_t end) {
    if (!isPending)
      pendingStart = start;
    isPending = true;
    pendingEnd = end;
    return true;
  }
  bool replace(size_t start, size_t end) {
    bool goesOn = flush();
    isPending = true;
    pendingStart = start;
    pendingEnd = end;
    return goesOn;
  }

  SplitBehavior behavior;
  Word word;
  Run &run;
  size_t next;
  bool lastWasMatch = false, isPending = false;
  size_t pendingStart = 0, pendingEnd = 0;
};

struct PatternSplit final : Step {
  TextPattern pattern;
  SplitBehavior behavior;
  bool isInverted;

  PatternSplit(TextPattern pattern, SplitBehavior behavior, bool isInverted = false)
      : pattern(std::move(pattern)), behavior(behavior), isInverted(isInverted) {}

  bool cut(Word word, Run &run, size_t next) const override {
    Splitter splitter(behavior, word, run, next);
    size_t done = 0;
    bool isFine = pattern.forEachMatch(word.text, run.scratch, run.failure, [&](size_t start, size_t end) {
      if (done != start && !splitter.add(done, start, isInverted))
        return false;
      done = end;
      return splitter.add(start, end, !isInverted);
    });
    if (!isFine || (done != word.text.size() && !splitter.add(done, word.text.size(), isInverted)))
      return false;
    return splitter.flush();
  }
};

// Every character for which `isDelimiter` holds is a match of its own.
template <class IsDelimiter> struct CharacterSplit final : Step {
  IsDelimiter isDelimiter;
  SplitBehavior behavior;

  CharacterSplit(IsDelimiter isDelimiter, SplitBehavior behavior) : isDelimiter(isDelimiter), behavior(behavior) {}

  bool cut(Word word, Run &run, size_t next) const override {
    Splitter splitter(behavior, word, run, next);
    size_t done = 0;
    for (size_t at = 0; at < word.text.size();) {
      auto [codePoint, bytes] = decodeFirst(word.text.substr(at));
      size_t end = at + bytes;
      if (isDelimiter(codePoint)) {
        if ((done < at && !splitter.add(done, at, false)) || !splitter.add(at, end, true))
          return false;
        done = end;
      }
      at = end;
    }
    if (done < word.text.size() && !splitter.add(done, word.text.size(), false))
      return false;
    return splitter.flush();
  }
};

struct IsCharacter {
  uint32_t wanted;
  bool operator()(uint32_t codePoint) const { return codePoint == wanted; }
};

// \w+|[^\w\s]+
struct WhitespaceSplit final : Step {
  bool cut(Word word, Run &run, size_t next) const override {
    auto kindOf = [](uint32_t c) { return isWordCharacter(c) ? 1 : isWhiteSpace(c) ? 0 : 2; };
    size_t start = 0;
    int last = 0;
    for (size_t at = 0; at <= word.text.size();) {
      auto [codePoint, bytes] = at < word.text.size() ? decodeFirst(word.text.substr(at)) : Decoded{' ', 1};
      int kind = kindOf(codePoint);
      if (kind != last) {
        if (last && !run.next({word.text.substr(start, at - start), word.isAtStart && start == 0}, next))
          return false;
        start = at;
        last = kind;
      }
      at += bytes;
    }
    return true;
  }
};

// Cuts where the script changes. A character without one goes with those before it; at the front it is dropped, as in
// the reference.
struct ScriptSplit final : Step {
  bool cut(Word word, Run &run, size_t next) const override {
    int32_t last = kNoScript;
    size_t start = 0;
    for (size_t at = 0; at < word.text.size();) {
      auto [codePoint, bytes] = decodeFirst(word.text.substr(at));
      int32_t script = scriptOf(codePoint);
      if (script != kNoScript && script != last) {
        if (last != kNoScript && !run.next({word.text.substr(start, at - start), word.isAtStart && start == 0}, next))
          return false;
        last = script;
        start = at;
      }
      at += bytes;
    }
    return last == kNoScript || run.next({word.text.substr(start), word.isAtStart && start == 0}, next);
  }
};

struct PrefixSpace final : Step {
  bool cut(Word word, Run &run, size_t next) const override {
    if (word.text.starts_with(' '))
      return run.next(word, next);
    std::string text = " ";
    text += word.text;
    return run.next({text, word.isAtStart}, next);
  }
};

struct ByteLevelWriter final : Step {
  bool cut(Word word, Run &run, size_t next) const override {
    std::string text;
    text.reserve(2 * word.text.size());
    appendByteLevel(text, word.text);
    return run.next({text, word.isAtStart}, next);
  }
};

struct Metaspace final : Step {
  enum class Scheme { First, Never, Always };
  std::string replacement;
  Scheme scheme;

  Metaspace(std::string replacement, Scheme scheme) : replacement(std::move(replacement)), scheme(scheme) {}

  bool cut(Word word, Run &run, size_t next) const override {
    std::string text;
    text.reserve(word.text.size() * 2);
    for (char c : word.text)
      if (c == ' ')
        text += replacement;
      else
        text += c;
    bool wantsPrefix = scheme == Scheme::Always || (scheme == Scheme::First && word.isAtStart);
    if (wantsPrefix && !text.starts_with(replacement))
      text.insert(0, replacement);
    return run.next({text, word.isAtStart}, next);
  }
};

struct FixedLength final : Step {
  size_t length;
  explicit FixedLength(size_t length) : length(length) {}

  bool cut(Word word, Run &run, size_t next) const override {
    for (size_t start = 0; start < word.text.size();) {
      size_t end = start;
      for (size_t i = 0; i < length && end < word.text.size(); ++i)
        end += decodeFirst(word.text.substr(end)).bytes;
      if (!run.next({word.text.substr(start, end - start), word.isAtStart && start == 0}, next))
        return false;
      start = end;
    }
    return true;
  }
};

std::optional<SplitBehavior> parseBehavior(const Json &spec) {
  auto name = jsonString(spec, "behavior");
  if (name == "Removed")
    return SplitBehavior::Removed;
  if (name == "Isolated")
    return SplitBehavior::Isolated;
  if (name == "MergedWithPrevious")
    return SplitBehavior::MergedWithPrevious;
  if (name == "MergedWithNext")
    return SplitBehavior::MergedWithNext;
  if (name == "Contiguous")
    return SplitBehavior::Contiguous;
  return std::nullopt;
}

std::unexpected<Error> badBehavior(std::string_view type) {
  return invalidInput("tokenizer.json: pre-tokenizer '" + std::string(type) +
                      "': 'behavior': want Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

std::optional<uint32_t> oneCharacter(std::optional<std::string_view> text) {
  if (!text || text->empty() || decodeFirst(*text).bytes != text->size())
    return std::nullopt;
  return decodeFirst(*text).codePoint;
}

} // namespace

bool PreTokenizer::Run::next(Word part, size_t step) {
  if (part.text.empty())
    return true;
  return step < owner.steps.size() ? owner.steps[step]->cut(part, *this, step + 1) : sink.word(part);
}

Expected<void> PreTokenizer::cut(Word text, RegexScratch &scratch, WordSink &sink) const {
  Run run{*this, scratch, sink, {}};
  run.next(text, 0);
  if (run.failure.error)
    return std::unexpected(*run.failure.error);
  return {};
}

Expected<PreTokenizer> PreTokenizer::fromJson(const Json &spec) {
  PreTokenizer result;
  if (!spec.is_null())
    LLMC_CHECK(result.add(spec, 0));
  return result;
}

Expected<void> PreTokenizer::add(const Json &spec, int depth) {
  auto type = jsonString(spec, "type");
  if (!type)
    return invalidInput("tokenizer.json: 'pre_tokenizer': want an object with a string 'type'");
  if (depth > kMaxNesting || steps.size() >= kMaxSteps)
    return unsupported("tokenizer.json: 'pre_tokenizer': want at most " + std::to_string(kMaxSteps) + " steps");
  if (*type != "Sequence") {
    if (std::exchange(writesBytes, false))
      steps.push_back(std::make_unique<ByteLevelWriter>());
    return addSimple(spec, *type);
  }
  const Json *parts = jsonMember(spec, "pretokenizers");
  if (!parts || !parts->is_array())
    return invalidInput("tokenizer.json: pre-tokenizer 'Sequence': 'pretokenizers': want an array");
  for (const Json &part : *parts)
    LLMC_CHECK(add(part, depth + 1));
  return {};
}

Expected<void> PreTokenizer::addByteLevel(const Json &spec) {
  if (jsonBool(spec, "add_prefix_space").value_or(true))
    steps.push_back(std::make_unique<PrefixSpace>());
  if (jsonBool(spec, "use_regex").value_or(true)) {
    LLMC_TRY(pattern, TextPattern::fromRegex(kGpt2Pattern));
    steps.push_back(std::make_unique<PatternSplit>(std::move(pattern), SplitBehavior::Isolated));
  }
  writesBytes = true;
  return {};
}

Expected<void> PreTokenizer::addMetaspace(const Json &spec) {
  auto replacement = jsonString(spec, "replacement");
  auto character = oneCharacter(replacement);
  if (!character)
    return invalidInput("tokenizer.json: pre-tokenizer 'Metaspace': 'replacement': want one character");
  auto scheme = Metaspace::Scheme::Always;
  auto name = jsonString(spec, "prepend_scheme").value_or("always");
  if (name == "first")
    scheme = Metaspace::Scheme::First;
  else if (name == "never")
    scheme = Metaspace::Scheme::Never;
  else if (name != "always")
    return invalidInput("tokenizer.json: pre-tokenizer 'Metaspace': 'prepend_scheme': want always, first or never");
  if (jsonBool(spec, "add_prefix_space") == false)
    scheme = Metaspace::Scheme::Never;
  steps.push_back(std::make_unique<Metaspace>(std::string(*replacement), scheme));
  if (jsonBool(spec, "split").value_or(true))
    steps.push_back(
        std::make_unique<CharacterSplit<IsCharacter>>(IsCharacter{*character}, SplitBehavior::MergedWithNext));
  return {};
}

Expected<void> PreTokenizer::addSplit(const Json &spec) {
  const Json *pattern = jsonMember(spec, "pattern");
  if (!pattern)
    return invalidInput("tokenizer.json: pre-tokenizer 'Split': want a 'pattern'");
  auto behavior = parseBehavior(spec);
  if (!behavior)
    return badBehavior("Split");
  LLMC_TRY(compiled, TextPattern::fromJson(*pattern, "pre-tokenizer 'Split'"));
  steps.push_back(
      std::make_unique<PatternSplit>(std::move(compiled), *behavior, jsonBool(spec, "invert").value_or(false)));
  return {};
}

Expected<void> PreTokenizer::addSimple(const Json &spec, std::string_view type) {
  using Predicate = bool (*)(uint32_t);
  auto addCharacters = [&](Predicate isDelimiter, SplitBehavior behavior) {
    steps.push_back(std::make_unique<CharacterSplit<Predicate>>(isDelimiter, behavior));
    return Expected<void>();
  };
  if (type == "ByteLevel")
    return addByteLevel(spec);
  if (type == "Metaspace")
    return addMetaspace(spec);
  if (type == "Split")
    return addSplit(spec);
  if (type == "Digits") {
    bool isolates = jsonBool(spec, "individual_digits").value_or(false);
    return addCharacters(isNumeric, isolates ? SplitBehavior::Isolated : SplitBehavior::Contiguous);
  }
  if (type == "Punctuation") {
    auto behavior = jsonMember(spec, "behavior") ? parseBehavior(spec) : SplitBehavior::Isolated;
    return behavior ? addCharacters(isPunctuation, *behavior) : badBehavior(type);
  }
  if (type == "WhitespaceSplit")
    return addCharacters(isWhiteSpace, SplitBehavior::Removed);
  if (type == "BertPreTokenizer") {
    (void)addCharacters(isWhiteSpace, SplitBehavior::Removed);
    return addCharacters(isPunctuation, SplitBehavior::Isolated);
  }
  if (type == "Whitespace") {
    steps.push_back(std::make_unique<WhitespaceSplit>());
    return {};
  }
  if (type == "UnicodeScripts") {
    steps.push_back(std::make_unique<ScriptSplit>());
    return {};
  }
  if (type == "CharDelimiterSplit") {
    auto delimiter = oneCharacter(jsonString(spec, "delimiter"));
    if (!delimiter)
      return invalidInput("tokenizer.json: pre-tokenizer 'CharDelimiterSplit': 'delimiter': want one character");
    steps.push_back(std::make_unique<CharacterSplit<IsCharacter>>(IsCharacter{*delimiter}, SplitBehavior::Removed));
    return {};
  }
  if (type == "FixedLength") {
    auto length = jsonInt(spec, "length").value_or(5);
    if (length < 1 || length > std::numeric_limits<int32_t>::max())
      return invalidInput("tokenizer.json: pre-tokenizer 'FixedLength': 'length': want at least 1");
    steps.push_back(std::make_unique<FixedLength>(size_t(length)));
    return {};
  }
  return unsupported("tokenizer.json: pre-tokenizer " + quoteText(type) + " is not supported");
}

} // namespace llmc
