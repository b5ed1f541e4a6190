#include "runtime/support/Text.h"

#include <cstdint>

namespace llmc {
namespace {

// Length of the well-formed sequence at the start of `text`, or 0.
size_t utf8SequenceLength(std::string_view text) {
  auto byteAt = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : uint8_t(0); };
  auto within = [](uint8_t byte, uint8_t low, uint8_t high) { return byte >= low && byte <= high; };
  uint8_t lead = byteAt(0), second = byteAt(1);
  if (lead < 0x80)
    return 1;
  if (within(lead, 0xc2, 0xdf))
    return within(second, 0x80, 0xbf) ? 2 : 0;
  bool tail = within(byteAt(2), 0x80, 0xbf);
  if (within(lead, 0xe0, 0xef)) // no overlong forms after e0, no surrogates after ed
    return within(second, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf) && tail ? 3 : 0;
  if (within(lead, 0xf0, 0xf4)) // no overlong forms after f0, at most U+10FFFF after f4
    return within(second, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf) && tail &&
                   within(byteAt(3), 0x80, 0xbf)
               ? 4
               : 0;
  return 0;
}

} // namespace

bool isUtf8(std::string_view text) {
  while (!text.empty()) {
    size_t length = utf8SequenceLength(text);
    if (length == 0)
      return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string quoteText(std::string_view text, size_t maxBytes) {
  static const char digits[] = "0123456789abcdef";
  std::string out = "'";
  for (unsigned char c : text.substr(0, maxBytes)) {
    if (c >= 0x20 && c < 0x7f)
      out += char(c);
    else
      (((out += "\\x") += digits[c >> 4]) += digits[c & 15]);
  }
  return out + (text.size() > maxBytes ? "...'" : "'");
}

std::string formatBytes(int64_t bytes) {
  static constexpr const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = double(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit)
    value /= 1024;
  char text[48];
  std::snprintf(text, sizeof text, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
  return text;
}

} // namespace llmc
