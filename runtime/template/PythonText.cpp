#include "runtime/template/PythonText.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace llmc::jinja {
namespace {

uint32_t codePointOf(std::string_view character) { return decodeFirst(character).codePoint; }

bool isStripped(std::string_view character, std::optional<std::string_view> chars) {
  if (!chars)
    return isSpace(codePointOf(character));
  for (std::string_view candidate : CodePoints(*chars))
    if (candidate == character)
      return true;
  return false;
}

std::string_view lastCharacter(std::string_view text) { return text.substr(text.size() - decodeLast(text).bytes); }

bool isLineEnd(uint32_t c) {
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

// Cased characters after a cased one are lower, others upper.
std::string titleWith(std::string_view text, bool wholeTextIsOneWord) {
  std::string out;
  bool within = false;
  for (std::string_view character : CodePoints(text)) {
    out += within ? lower(character) : upper(character);
    uint32_t c = codePointOf(character);
    within = wholeTextIsOneWord || isUpper(c) || isLower(c);
  }
  return out;
}

std::vector<std::string_view> splitAtSpace(std::string_view text, int64_t limit) {
  std::vector<std::string_view> parts;
  for (text = stripLeft(text); !text.empty(); text = stripLeft(text)) {
    if (limit >= 0 && int64_t(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    size_t length = 0;
    for (std::string_view character : CodePoints(text)) {
      if (isSpace(codePointOf(character)))
        break;
      length += character.size();
    }
    parts.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return parts;
}

std::vector<std::string_view> splitAtSpaceFromRight(std::string_view text, int64_t limit) {
  std::vector<std::string_view> parts;
  for (text = stripRight(text); !text.empty(); text = stripRight(text)) {
    if (limit >= 0 && int64_t(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    size_t start = text.size();
    while (start > 0 && !isSpace(codePointOf(lastCharacter(text.substr(0, start)))))
      start -= lastCharacter(text.substr(0, start)).size();
    parts.push_back(text.substr(start));
    text = text.substr(0, start);
  }
  std::ranges::reverse(parts);
  return parts;
}

// Digits with single underscores between them; nullopt otherwise.
std::optional<std::string> withoutUnderscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    auto isAlnum = [&](size_t at) { return at < text.size() && std::isalnum(uint8_t(text[at])); };
    if (i == 0 || !isAlnum(i - 1) || !isAlnum(i + 1))
      return std::nullopt;
  }
  return out;
}

} // namespace

size_t countCodePoints(std::string_view text) {
  return size_t(std::ranges::count_if(text, [](char c) { return (uint8_t(c) & 0xc0) != 0x80; }));
}

size_t byteOffset(std::string_view text, size_t index) {
  size_t at = 0;
  for (; at < text.size(); ++at)
    if ((uint8_t(text[at]) & 0xc0) != 0x80 && index-- == 0)
      break;
  return at;
}

bool isSpace(uint32_t c) { return isWhiteSpace(c) || (c >= 0x1c && c <= 0x1f); }

std::string upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::string_view character : CodePoints(text))
    appendUpper(out, codePointOf(character));
  return out;
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool afterLetter = false;
  for (size_t at = 0; at < text.size();) {
    auto [c, bytes] = decodeFirst(text.substr(at));
    at += bytes;
    // Greek has another small sigma at the end of a word.
    bool isLast = at == text.size() || !isAlphabetic(codePointOf(text.substr(at)));
    if (c == 0x3a3 && afterLetter && isLast)
      appendUtf8(out, 0x3c2);
    else
      appendLower(out, c);
    afterLetter = isAlphabetic(c);
  }
  return out;
}

std::string capitalize(std::string_view text) { return titleWith(text, true); }
std::string title(std::string_view text) { return titleWith(text, false); }

std::string_view stripLeft(std::string_view text, std::optional<std::string_view> chars) {
  while (!text.empty() && isStripped(*CodePoints(text).begin(), chars))
    text.remove_prefix(decodeFirst(text).bytes);
  return text;
}

std::string_view stripRight(std::string_view text, std::optional<std::string_view> chars) {
  while (!text.empty() && isStripped(lastCharacter(text), chars))
    text.remove_suffix(lastCharacter(text).size());
  return text;
}

std::string_view strip(std::string_view text, std::optional<std::string_view> chars) {
  return stripRight(stripLeft(text, chars), chars);
}

std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator, int64_t limit) {
  if (!separator)
    return splitAtSpace(text, limit);
  std::vector<std::string_view> parts;
  for (size_t at; (limit < 0 || int64_t(parts.size()) < limit) && (at = text.find(*separator)) != text.npos;) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + separator->size());
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> splitFromRight(std::string_view text, std::optional<std::string_view> separator,
                                             int64_t limit) {
  if (!separator)
    return splitAtSpaceFromRight(text, limit);
  std::vector<std::string_view> parts;
  for (size_t at; (limit < 0 || int64_t(parts.size()) < limit) && (at = text.rfind(*separator)) != text.npos;) {
    parts.push_back(text.substr(at + separator->size()));
    text = text.substr(0, at);
  }
  parts.push_back(text);
  std::ranges::reverse(parts);
  return parts;
}

std::vector<std::string_view> splitLines(std::string_view text, bool keepEnds) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    auto [c, bytes] = decodeFirst(text.substr(at));
    size_t end = at;
    at += bytes;
    if (!isLineEnd(c))
      continue;
    if (c == '\r' && at < text.size() && text[at] == '\n')
      ++at;
    lines.push_back(text.substr(start, (keepEnds ? at : end) - start));
    start = at;
  }
  if (start < text.size())
    lines.push_back(text.substr(start));
  return lines;
}

std::optional<std::string> replace(std::string_view text, std::string_view from, std::string_view to, int64_t limit,
                                   size_t maxBytes) {
  std::string out;
  size_t at = 0;
  for (int64_t done = 0; limit < 0 || done < limit; ++done) {
    size_t found = text.find(from, at);
    if (found == text.npos)
      break;
    // An empty text is found before each character and at the end.
    size_t next = from.empty() && found < text.size() ? found + decodeFirst(text.substr(found)).bytes : found + from.size();
    out.append(text.substr(at, found - at)).append(to);
    if (from.empty())
      out.append(text.substr(found, next - found));
    bool isEnd = from.empty() && found == text.size();
    at = next;
    if (out.size() > maxBytes)
      return std::nullopt;
    if (isEnd)
      break;
  }
  return out.append(text.substr(at));
}

std::string escapeHtml(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
    case '&': out += "&amp;"; break;
    case '<': out += "&lt;"; break;
    case '>': out += "&gt;"; break;
    case '"': out += "&#34;"; break;
    case '\'': out += "&#39;"; break;
    default: out += c;
    }
  }
  return out;
}

std::string formatFloat(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  char digits[40];
  auto end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr;
  std::string_view text(digits, size_t(end - digits));
  int exponent = 0;
  size_t e = text.find('e');
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), end, exponent);
  if (exponent < -4 || exponent >= 16)
    return std::string(text);
  end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed).ptr;
  std::string fixed(digits, end);
  return fixed.find('.') == fixed.npos ? fixed + ".0" : fixed;
}

std::string quote(std::string_view text) {
  bool hasSingle = text.find('\'') != text.npos, hasDouble = text.find('"') != text.npos;
  char mark = hasSingle && !hasDouble ? '"' : '\'';
  std::string out(1, mark);
  for (std::string_view character : CodePoints(text)) {
    uint32_t c = codePointOf(character);
    char escaped[16];
    if (c == uint32_t(mark) || c == '\\')
      (out += '\\') += char(c);
    else if (c == '\n' || c == '\r' || c == '\t')
      (out += '\\') += c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
    else if (isPrintable(c))
      out += character;
    else
      out.append(escaped, size_t(std::snprintf(escaped, sizeof escaped,
                                               c < 0x100     ? "\\x%02x"
                                               : c < 0x10000 ? "\\u%04x"
                                                             : "\\U%08x",
                                               c)));
  }
  return out + mark;
}

std::optional<int64_t> parseInt(std::string_view text, int base) {
  auto plain = withoutUnderscores(strip(text));
  if (!plain || plain->empty() || (base != 0 && (base < 2 || base > 36)))
    return std::nullopt;
  std::string_view digits = *plain;
  bool negative = digits[0] == '-';
  if (digits[0] == '-' || digits[0] == '+')
    digits.remove_prefix(1);
  auto prefixed = [&](char letter, int of) {
    if ((base != of && base != 0) || digits.size() < 3 || digits[0] != '0' || (digits[1] | 32) != letter)
      return;
    digits.remove_prefix(2);
    base = of;
  };
  prefixed('x', 16), prefixed('o', 8), prefixed('b', 2);
  uint64_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base ? base : 10);
  if (error != std::errc() || end != digits.data() + digits.size() || value > uint64_t(INT64_MAX))
    return std::nullopt;
  return negative ? -int64_t(value) : int64_t(value);
}

std::optional<double> parseFloat(std::string_view text) {
  auto plain = withoutUnderscores(strip(text));
  if (!plain)
    return std::nullopt;
  std::string_view digits = *plain;
  bool negative = digits.starts_with('-');
  if (digits.starts_with('-') || digits.starts_with('+'))
    digits.remove_prefix(1);
  if (digits.empty() || digits[0] == '-')
    return std::nullopt;
  std::string word = lower(digits);
  double value = 0;
  if (word == "inf" || word == "infinity")
    value = INFINITY;
  else if (word == "nan")
    value = NAN;
  else {
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    bool isNumber = std::isdigit(uint8_t(digits[0])) || digits[0] == '.';
    if (!isNumber || end != digits.data() + digits.size() || error == std::errc::invalid_argument)
      return std::nullopt;
    if (error == std::errc::result_out_of_range)
      value = std::strtod(std::string(digits).c_str(), nullptr);
  }
  return negative ? -value : value;
}

} // namespace llmc::jinja
