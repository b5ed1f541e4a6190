#include "runtime/tokenizer/CharsMap.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/Unicode.h"

#include <array>
#include <cstring>
#include <utf8proc.h>

namespace llmc {
namespace {

// Units of a darts-clone double array. Source: https://github.com/s-yata/darts-clone
bool hasLeaf(uint32_t unit) { return unit >> 8 & 1; }
uint32_t valueOf(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t labelOf(uint32_t unit) { return unit & 0x800000FF; }
uint32_t offsetOf(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

std::unexpected<Error> badMap(std::string_view what) {
  return invalidInput("tokenizer: precompiled_charsmap: " + std::string(what));
}

constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::string> decodeBase64(std::string_view encoded) {
  std::array<int8_t, 256> digit;
  digit.fill(-1);
  for (int i = 0; i < 64; ++i)
    digit[uint8_t(kBase64Digits[size_t(i)])] = int8_t(i);
  while (encoded.ends_with('='))
    encoded.remove_suffix(1);
  std::string out;
  out.reserve(encoded.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (char c : encoded) {
    if (digit[uint8_t(c)] < 0)
      return std::nullopt;
    bits = bits << 6 | uint32_t(digit[uint8_t(c)]);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += char(bits >> count);
    }
  }
  return out;
}

} // namespace

std::string CharsMap::toBase64(std::string_view bytes) {
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    auto byteAt = [&](size_t i) { return at + i < bytes.size() ? uint32_t(uint8_t(bytes[at + i])) : 0; };
    uint32_t bits = byteAt(0) << 16 | byteAt(1) << 8 | byteAt(2);
    for (int shift = 18; shift >= 0; shift -= 6)
      out += kBase64Digits[bits >> shift & 63];
  }
  // A last group of one byte has two digits, of two bytes three.
  out.resize(out.size() - (3 - bytes.size() % 3) % 3);
  return out;
}

Expected<CharsMap> CharsMap::fromBase64(std::string_view encoded) {
  auto bytes = decodeBase64(encoded);
  if (!bytes)
    return badMap("want base64");
  return fromBytes(std::move(*bytes));
}

Expected<CharsMap> CharsMap::fromBytes(std::string bytes) {
  uint32_t trieBytes = 0;
  if (bytes.size() < sizeof(trieBytes))
    return badMap("want at least 4 bytes, got " + std::to_string(bytes.size()));
  std::memcpy(&trieBytes, bytes.data(), sizeof(trieBytes));
  if (trieBytes % 4 || trieBytes > bytes.size() - sizeof(trieBytes))
    return badMap("trie of " + std::to_string(trieBytes) + " bytes does not fit");
  CharsMap map;
  map.units.resize(trieBytes / 4);
  std::memcpy(map.units.data(), bytes.data() + sizeof(trieBytes), trieBytes);
  map.strings = bytes.substr(sizeof(trieBytes) + trieBytes);
  if (!isUtf8(map.strings))
    return badMap("replacements: want UTF-8");
  return map;
}

template <class Found> void CharsMap::forEachPrefix(std::string_view text, Found found) const {
  if (units.empty())
    return;
  uint32_t at = offsetOf(units[0]);
  for (size_t i = 0; i < text.size() && text[i]; ++i) {
    uint8_t label = uint8_t(text[i]);
    at ^= label;
    if (at >= units.size() || labelOf(units[at]) != label)
      return;
    uint32_t unit = units[at];
    at ^= offsetOf(unit);
    if (at >= units.size())
      return;
    if (hasLeaf(unit) && !found(i + 1, valueOf(units[at])))
      return;
  }
}

std::optional<std::string_view> CharsMap::replacementAt(uint32_t offset) const {
  // Strings begin behind a zero byte, so that the replacement is UTF-8 too.
  if (offset >= strings.size() || (offset > 0 && strings[offset - 1] != '\0'))
    return std::nullopt;
  std::string_view rest = std::string_view(strings).substr(offset);
  return rest.substr(0, rest.find('\0'));
}

std::optional<CharsMap::Match> CharsMap::shortestAt(std::string_view text) const {
  std::optional<Match> match;
  forEachPrefix(text, [&](size_t bytes, uint32_t offset) {
    if (auto replacement = replacementAt(offset))
      match = Match{bytes, *replacement};
    return false;
  });
  return match;
}

std::optional<CharsMap::Match> CharsMap::longestAt(std::string_view text) const {
  std::optional<Match> match;
  forEachPrefix(text, [&](size_t bytes, uint32_t offset) {
    if (auto replacement = replacementAt(offset))
      match = Match{bytes, *replacement};
    return true;
  });
  return match;
}

std::string CharsMap::normalizeGraphemes(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  auto append = [&](std::string_view part) {
    auto match = shortestAt(part);
    out += match ? match->replacement : part;
    return match.has_value();
  };
  for (size_t at = 0; at < text.size();) {
    auto [previous, bytes] = decodeFirst(text.substr(at));
    size_t end = at + bytes;
    utf8proc_int32_t state = 0;
    while (end < text.size()) {
      auto [next, nextBytes] = decodeFirst(text.substr(end));
      if (utf8proc_grapheme_break_stateful(utf8proc_int32_t(previous), utf8proc_int32_t(next), &state))
        break;
      previous = next;
      end += nextBytes;
    }
    std::string_view grapheme = text.substr(at, end - at);
    if (grapheme.size() >= 6 || !shortestAt(grapheme))
      for (size_t i = 0; i < grapheme.size();) {
        size_t length = decodeFirst(grapheme.substr(i)).bytes;
        append(grapheme.substr(i, length));
        i += length;
      }
    else
      append(grapheme);
    at = end;
  }
  return out;
}

} // namespace llmc
