#include "runtime/tokenizer/Unicode.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <utf8proc.h>

namespace llmc {
namespace {

struct CodePointRange {
  uint32_t first, last;
};
struct CategoryRange {
  uint32_t first, last;
  utf8proc_category_t category;
};
struct LowerRange {
  uint32_t first, last;
  int32_t distance;
};
struct ScriptRange {
  uint32_t first, last;
  int32_t script;
};
#include "runtime/tokenizer/UnicodeTables.inc"

constexpr std::string_view kCategoryNames[] = {"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd",
                                               "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm",
                                               "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"};

template <class Range, size_t N> const Range *findRange(const Range (&ranges)[N], uint32_t codePoint) {
  auto after = std::upper_bound(std::begin(ranges), std::end(ranges), codePoint,
                                [](uint32_t value, const Range &range) { return value < range.first; });
  if (after == std::begin(ranges) || std::prev(after)->last < codePoint)
    return nullptr;
  return &*std::prev(after);
}

utf8proc_category_t categoryOf(uint32_t codePoint) {
  auto category = utf8proc_category(utf8proc_int32_t(codePoint));
  if (category != UTF8PROC_CATEGORY_CN)
    return category;
  const CategoryRange *later = findRange(kAssignedLater, codePoint);
  return later ? later->category : category;
}

bool isOneOf(utf8proc_category_t category, utf8proc_category_t first, utf8proc_category_t last) {
  return category >= first && category <= last;
}

bool isMark(uint32_t codePoint) {
  return isOneOf(utf8proc_category(utf8proc_int32_t(codePoint)), UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME);
}

bool isWellFormedAt(std::string_view text, size_t &length) {
  utf8proc_int32_t codePoint;
  auto bytes = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                                utf8proc_ssize_t(std::min<size_t>(text.size(), 4)), &codePoint);
  length = bytes > 0 ? size_t(bytes) : 0;
  return bytes > 0;
}

// Bytes of the longest start of a well-formed character at the head of ill-formed text: at least 1.
size_t illFormedPart(std::string_view text) {
  auto byte = [&](size_t i) { return uint8_t(text[i]); };
  uint8_t lead = byte(0);
  if (lead < 0xC2 || lead > 0xF4)
    return 1;
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (text.size() < 2 || byte(1) < low || byte(1) > high)
    return 1;
  size_t part = 2;
  while (part < announcedBytes(lead) && part < text.size() && (byte(part) & 0xC0) == 0x80)
    ++part;
  return part;
}

} // namespace

Decoded decodeLast(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && (uint8_t(text[start]) & 0xC0) == 0x80)
    --start;
  return decodeFirst(text.substr(start));
}

void appendUtf8(std::string &out, uint32_t codePoint) {
  utf8proc_uint8_t bytes[4];
  auto count = utf8proc_encode_char(utf8proc_int32_t(codePoint), bytes);
  out.append(reinterpret_cast<const char *>(bytes), size_t(count));
}

size_t incompleteTail(std::string_view text) {
  size_t window = std::min<size_t>(text.size(), 3);
  for (size_t back = 1; back <= window; ++back) {
    std::string_view tail = text.substr(text.size() - back);
    uint8_t lead = uint8_t(tail[0]);
    if ((lead & 0xC0) == 0x80)
      continue;
    return lead >= 0xC2 && lead <= 0xF4 && announcedBytes(lead) > back && illFormedPart(tail) == back ? back : 0;
  }
  return 0;
}

std::string replaceIllFormed(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t length = 0;
    if (isWellFormedAt(text, length)) {
      out.append(text.substr(0, length));
    } else {
      length = illFormedPart(text);
      out.append("\xEF\xBF\xBD");
    }
    text.remove_prefix(length);
  }
  return out;
}

bool isWhiteSpace(uint32_t c) {
  if (c < 0x80)
    return c == ' ' || (c >= 9 && c <= 13);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

bool isNumeric(uint32_t codePoint) {
  return isOneOf(categoryOf(codePoint), UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO);
}

bool isWordCharacter(uint32_t c) {
  // Alphabetic characters outside the letter categories, and the joiners.
  if ((c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
      (c >= 0x1F170 && c <= 0x1F189) || c == 0x200C || c == 0x200D)
    return true;
  auto category = categoryOf(c);
  return isOneOf(category, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_NL) || category == UTF8PROC_CATEGORY_PC;
}

bool isPunctuation(uint32_t c) {
  if (c < 0x80)
    return c > ' ' && c < 0x7F && !(c >= '0' && c <= '9') && !((c | 32) >= 'a' && (c | 32) <= 'z');
  if (findRange(kPunctuationExtra, c))
    return true;
  return isOneOf(utf8proc_category(utf8proc_int32_t(c)), UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO) &&
         !findRange(kPunctuationNot, c);
}

bool isCombiningMark(uint32_t c) {
  return c >= 0x300 && ((isMark(c) && !findRange(kCombiningNot, c)) || findRange(kCombiningExtra, c));
}

bool isNonspacingMark(uint32_t c) {
  if (c < 0x300)
    return false;
  return (utf8proc_category(utf8proc_int32_t(c)) == UTF8PROC_CATEGORY_MN && !findRange(kNonspacingNot, c)) ||
         findRange(kNonspacingExtra, c);
}

bool isControl(uint32_t c) {
  auto category = utf8proc_category(utf8proc_int32_t(c));
  return (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO) &&
         !findRange(kControlNot, c);
}

bool isPrintable(uint32_t c) {
  auto category = categoryOf(c);
  return c == ' ' || (category != UTF8PROC_CATEGORY_CN && category < UTF8PROC_CATEGORY_ZS);
}

bool isAlphabetic(uint32_t c) { return isOneOf(categoryOf(c), UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LO); }
bool isDecimalDigit(uint32_t c) { return categoryOf(c) == UTF8PROC_CATEGORY_ND; }
bool isUpper(uint32_t c) { return categoryOf(c) == UTF8PROC_CATEGORY_LU; }
bool isLower(uint32_t c) { return categoryOf(c) == UTF8PROC_CATEGORY_LL; }

bool isChinese(uint32_t c) {
  // 0x2B920 is the reference's, where BERT's own has 0x2B820.
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

int32_t scriptOf(uint32_t codePoint) {
  const ScriptRange *range = findRange(kScripts, codePoint);
  return range ? range->script : kNoScript;
}

std::string laterCharacters(std::string_view category) {
  std::string out;
  for (size_t i = 0; i < std::size(kAssignedLater);) {
    uint32_t first = kAssignedLater[i].first, last = first - 1;
    auto belongs = [&](const CategoryRange &range) { return kCategoryNames[range.category].starts_with(category); };
    for (; i < std::size(kAssignedLater) && kAssignedLater[i].first == last + 1 && belongs(kAssignedLater[i]); ++i)
      last = kAssignedLater[i].last;
    if (last + 1 == first) {
      ++i;
      continue;
    }
    char item[48];
    std::snprintf(item, sizeof(item), first == last ? "\\x{%X}" : "\\x{%X}-\\x{%X}", first, last);
    out += item;
  }
  return out;
}

void appendLower(std::string &out, uint32_t c) {
  if (c < 0x80) {
    out.push_back(char(c >= 'A' && c <= 'Z' ? c + 32 : c));
  } else if (c == 0x130) { // the one letter whose lower case is two
    out.append("i\xCC\x87");
  } else if (const LowerRange *later = findRange(kLowerLater, c)) {
    appendUtf8(out, uint32_t(int32_t(c) + later->distance));
  } else {
    appendUtf8(out, uint32_t(utf8proc_tolower(utf8proc_int32_t(c))));
  }
}

void appendUpper(std::string &out, uint32_t c) {
  if (c < 0x80)
    out.push_back(char(c >= 'a' && c <= 'z' ? c - 32 : c));
  else if (c == 0xdf) // the one letter in common use whose upper case is two
    out.append("SS");
  else
    appendUtf8(out, uint32_t(utf8proc_toupper(utf8proc_int32_t(c))));
}

namespace {

bool isAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return uint8_t(c) < 0x80; });
}

bool appendNormalized(std::string &out, std::string_view text, NormalForm form) {
  if (text.empty())
    return true;
  if (isAscii(text)) {
    out.append(text);
    return true;
  }
  bool composes = form == NormalForm::Nfc || form == NormalForm::Nfkc;
  bool isCompatible = form == NormalForm::Nfkc || form == NormalForm::Nfkd;
  int options = UTF8PROC_STABLE | (composes ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
  if (isCompatible)
    options |= UTF8PROC_COMPAT;
  utf8proc_uint8_t *mapped = nullptr;
  auto bytes = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()), utf8proc_ssize_t(text.size()),
                            &mapped, utf8proc_option_t(options));
  std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (bytes < 0)
    return false;
  out.append(reinterpret_cast<const char *>(mapped), size_t(bytes));
  return true;
}

} // namespace

std::optional<std::string> normalize(std::string_view text, NormalForm form) {
  std::string out;
  out.reserve(text.size());
  size_t pending = 0;
  for (size_t at = 0; at < text.size();) {
    auto [codePoint, bytes] = decodeFirst(text.substr(at));
    if (codePoint >= 0x7FD && findRange(kNormalizationInert, codePoint)) {
      if (!appendNormalized(out, text.substr(pending, at - pending), form))
        return std::nullopt;
      out.append(text.substr(at, bytes));
      pending = at + bytes;
    }
    at += bytes;
  }
  if (!appendNormalized(out, text.substr(pending), form))
    return std::nullopt;
  return out;
}

} // namespace llmc
