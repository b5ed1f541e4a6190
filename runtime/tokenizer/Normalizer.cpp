#include "runtime/tokenizer/Normalizer.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/ByteLevel.h"
#include "runtime/tokenizer/CharsMap.h"
#include "runtime/tokenizer/SentencePieceNormalizer.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>

namespace llmc {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr int kMaxNesting = 16;

std::string at(std::string_view type, std::string_view key) {
  return "tokenizer.json: normalizer '" + std::string(type) + "': '" + std::string(key) + "'";
}

using Step = Normalizer::Step;

std::unexpected<Error> tooLong(const NormalizedText &value) {
  return invalidInput("tokenizer: normalized text: want at most " + std::to_string(value.maxBytes) + " bytes");
}

struct UnicodeForm final : Step {
  NormalForm form;
  explicit UnicodeForm(NormalForm form) : form(form) {}
  Expected<void> apply(NormalizedText &value, RegexScratch &) const override {
    auto text = normalize(value.text, form);
    if (!text)
      return internalError("tokenizer: out of memory");
    value.text = std::move(*text);
    return {};
  }
};

// Maps each character to some text, possibly none.
struct CharacterMap final : Step {
  void (*map)(std::string &out, uint32_t codePoint);
  explicit CharacterMap(void (*map)(std::string &, uint32_t)) : map(map) {}
  Expected<void> apply(NormalizedText &value, RegexScratch &) const override {
    std::string out;
    out.reserve(value.text.size());
    std::string_view text = value.text;
    for (size_t at = 0; at < text.size();) {
      auto [codePoint, bytes] = decodeFirst(text.substr(at));
      map(out, codePoint);
      if (at == 0 && out.empty())
        value.isAtStart = false;
      at += bytes;
    }
    value.text = std::move(out);
    return {};
  }
};

void stripAccent(std::string &out, uint32_t c) {
  if (!isCombiningMark(c))
    appendUtf8(out, c);
}
void stripNonspacing(std::string &out, uint32_t c) {
  if (!isNonspacingMark(c))
    appendUtf8(out, c);
}
void cleanText(std::string &out, uint32_t c) {
  bool isBlank = c == '\t' || c == '\n' || c == '\r';
  if (c == 0 || c == 0xFFFD || (!isBlank && isControl(c)))
    return;
  appendUtf8(out, isWhiteSpace(c) ? ' ' : c);
}
void isolateChinese(std::string &out, uint32_t c) {
  if (isChinese(c))
    out += ' ';
  appendUtf8(out, c);
  if (isChinese(c))
    out += ' ';
}
// The control characters and spaces of SentencePiece's nmt rule.
void applyNmt(std::string &out, uint32_t c) {
  if ((c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F)
    return;
  bool isSpace = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                 c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  appendUtf8(out, isSpace ? ' ' : c);
}
void toByteLevel(std::string &out, uint32_t c) {
  std::string bytes;
  appendUtf8(bytes, c);
  appendByteLevel(out, bytes);
}

struct Replace final : Step {
  TextPattern pattern;
  std::string content;
  Replace(TextPattern pattern, std::string content) : pattern(std::move(pattern)), content(std::move(content)) {}
  Expected<void> apply(NormalizedText &value, RegexScratch &scratch) const override {
    std::string out;
    std::string_view text = value.text;
    size_t done = 0;
    MatchFailure failure;
    bool isFine = pattern.forEachMatch(text, scratch, failure, [&](size_t start, size_t end) {
      // The replacement stands for the last character that it replaces.
      if (start == 0 && end > 0 && (content.empty() || decodeFirst(text).bytes != end))
        value.isAtStart = false;
      out.append(text.substr(done, start - done)).append(content);
      done = end;
      return out.size() <= value.maxBytes;
    });
    if (failure.error)
      return std::unexpected(*failure.error);
    if (!isFine)
      return tooLong(value);
    if (done == 0 && out.empty())
      return {};
    out.append(text.substr(done));
    value.text = std::move(out);
    return {};
  }
};

struct Prepend final : Step {
  std::string prefix;
  explicit Prepend(std::string prefix) : prefix(std::move(prefix)) {}
  Expected<void> apply(NormalizedText &value, RegexScratch &) const override {
    if (!value.text.empty())
      value.text.insert(0, prefix);
    return {};
  }
};

struct Strip final : Step {
  bool left, right;
  Strip(bool left, bool right) : left(left), right(right) {}
  Expected<void> apply(NormalizedText &value, RegexScratch &) const override {
    std::string_view text = value.text;
    while (left && !text.empty() && isWhiteSpace(decodeFirst(text).codePoint)) {
      text.remove_prefix(decodeFirst(text).bytes);
      value.isAtStart = false;
    }
    while (right && !text.empty() && isWhiteSpace(decodeLast(text).codePoint))
      text.remove_suffix(decodeLast(text).bytes);
    value.text = std::string(text);
    return {};
  }
};

struct Precompiled final : Step {
  CharsMap map;
  explicit Precompiled(CharsMap map) : map(std::move(map)) {}
  Expected<void> apply(NormalizedText &value, RegexScratch &) const override {
    value.text = map.normalizeGraphemes(value.text);
    return {};
  }
};

} // namespace

Expected<Normalizer> Normalizer::fromJson(const Json &spec) {
  Normalizer normalizer;
  if (!spec.is_null())
    LLMC_CHECK(normalizer.add(spec, 0));
  return normalizer;
}

Expected<void> Normalizer::add(const Json &spec, int depth) {
  auto type = jsonString(spec, "type");
  if (!type)
    return invalidInput("tokenizer.json: 'normalizer': want an object with a string 'type'");
  if (depth > kMaxNesting || steps.size() >= kMaxSteps)
    return unsupported("tokenizer.json: 'normalizer': want at most " + std::to_string(kMaxSteps) + " steps");
  if (*type != "Sequence")
    return addSimple(spec, *type);
  const Json *parts = jsonMember(spec, "normalizers");
  if (!parts || !parts->is_array())
    return invalidInput(at(*type, "normalizers") + ": want an array");
  for (const Json &part : *parts)
    LLMC_CHECK(add(part, depth + 1));
  return {};
}

Expected<void> Normalizer::addSimple(const Json &spec, std::string_view type) {
  auto push = [&](auto step) {
    steps.push_back(std::make_unique<decltype(step)>(std::move(step)));
    return Expected<void>();
  };
  if (type == "NFC")
    return push(UnicodeForm(NormalForm::Nfc));
  if (type == "NFD")
    return push(UnicodeForm(NormalForm::Nfd));
  if (type == "NFKC")
    return push(UnicodeForm(NormalForm::Nfkc));
  if (type == "NFKD")
    return push(UnicodeForm(NormalForm::Nfkd));
  if (type == "Lowercase")
    return push(CharacterMap(appendLower));
  if (type == "StripAccents")
    return push(CharacterMap(stripAccent));
  if (type == "Nmt")
    return push(CharacterMap(applyNmt));
  if (type == "ByteLevel")
    return push(CharacterMap(toByteLevel));
  if (type == "Strip")
    return push(Strip(jsonBool(spec, "strip_left").value_or(true), jsonBool(spec, "strip_right").value_or(true)));
  if (type == "Prepend") {
    auto prefix = jsonString(spec, "prepend");
    return prefix ? push(Prepend(std::string(*prefix))) : invalidInput(at(type, "prepend") + ": want a string");
  }
  if (type == "Replace") {
    auto content = jsonString(spec, "content");
    const Json *pattern = jsonMember(spec, "pattern");
    if (!content || !pattern)
      return invalidInput("tokenizer.json: normalizer 'Replace': want 'pattern' and a string 'content'");
    LLMC_TRY(compiled, TextPattern::fromJson(*pattern, "normalizer 'Replace'"));
    return push(Replace(std::move(compiled), std::string(*content)));
  }
  if (type == "Precompiled") {
    auto encoded = jsonString(spec, "precompiled_charsmap");
    if (!encoded)
      return invalidInput(at(type, "precompiled_charsmap") + ": want a string");
    LLMC_TRY(map, CharsMap::fromBase64(*encoded));
    return push(Precompiled(std::move(map)));
  }
  if (type == "SentencePiece") { // of our blobs only
    LLMC_TRY(step, sentencePieceNormalizer(spec));
    steps.push_back(std::move(step));
    return {};
  }
  if (type == "BertNormalizer") {
    bool lowers = jsonBool(spec, "lowercase").value_or(true);
    if (jsonBool(spec, "clean_text").value_or(true))
      (void)push(CharacterMap(cleanText));
    if (jsonBool(spec, "handle_chinese_chars").value_or(true))
      (void)push(CharacterMap(isolateChinese));
    if (jsonBool(spec, "strip_accents").value_or(lowers)) {
      (void)push(UnicodeForm(NormalForm::Nfd));
      (void)push(CharacterMap(stripNonspacing));
    }
    return lowers ? push(CharacterMap(appendLower)) : Expected<void>();
  }
  return unsupported("tokenizer.json: normalizer " + quoteText(type) + " is not supported");
}

Expected<void> Normalizer::apply(NormalizedText &value, RegexScratch &scratch) const {
  for (const auto &step : steps) {
    if (value.text.empty())
      return {};
    LLMC_CHECK(step->apply(value, scratch));
    if (value.text.size() > value.maxBytes)
      return tooLong(value);
  }
  return {};
}

} // namespace llmc
