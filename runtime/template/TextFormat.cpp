#include "runtime/template/TextFormat.h"

#include "runtime/support/Text.h"
#include "runtime/template/Methods.h"
#include "runtime/template/Print.h"
#include "runtime/template/PythonText.h"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace llmc::jinja {
namespace {

constexpr int64_t maxFormatWidth = 1 << 16;

// What follows a ':' or '%': [fill]align, sign, '#', '0', width, ',', '.precision', type.
struct FormatSpec {
  std::string fill = " ";
  char align = 0; // '<', '>', '^'; 0: by type
  char sign = '-', type = 0;
  bool grouped = false, zeros = false;
  int64_t width = 0, precision = -1;
};

Expected<int64_t> readNumber(std::string_view text, size_t &at) {
  int64_t value = 0;
  for (; at < text.size() && std::isdigit(uint8_t(text[at])); ++at)
    if ((value = value * 10 + (text[at] - '0')) > maxFormatWidth)
      return invalidInput("format: want a width of at most " + std::to_string(maxFormatWidth));
  return value;
}

Expected<FormatSpec> parseSpec(std::string_view text) {
  FormatSpec spec;
  size_t at = 0;
  auto isAlign = [](char c) { return c == '<' || c == '>' || c == '^'; };
  if (size_t first = text.empty() ? 0 : decodeFirst(text).bytes; first && first < text.size() && isAlign(text[first])) {
    spec.fill = text.substr(0, first);
    spec.align = text[first];
    at = first + 1;
  } else if (!text.empty() && isAlign(text[0])) {
    spec.align = text[at++];
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' '))
    spec.sign = text[at++];
  if (at < text.size() && text[at] == '0')
    spec.zeros = true, ++at;
  LLMC_TRY(width, readNumber(text, at));
  spec.width = width;
  if (at < text.size() && text[at] == ',')
    spec.grouped = true, ++at;
  if (at < text.size() && text[at] == '.') {
    LLMC_TRY(precision, readNumber(text, ++at));
    spec.precision = precision;
  }
  if (at < text.size())
    spec.type = text[at++];
  if (at != text.size())
    return unsupported("the format " + quoteText(text) + " is not supported");
  return spec;
}

std::string inBase(uint64_t value, unsigned base, bool upperCase) {
  std::string digits;
  do {
    digits += (upperCase ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
    value /= base;
  } while (value);
  std::ranges::reverse(digits);
  return digits;
}

std::string printFloat(char type, int64_t precision, double value) {
  char pattern[] = {'%', '.', '*', type, 0};
  int length = std::snprintf(nullptr, 0, pattern, int(precision), value);
  std::string text(size_t(length), ' ');
  std::snprintf(text.data(), text.size() + 1, pattern, int(precision), value);
  return text;
}

// Digits of a number without its sign.
Expected<std::string> formatMagnitude(const FormatSpec &spec, const Value &value) {
  char type = spec.type;
  if (value.isInteger() && (type == 0 || std::string_view("dnxXob").find(type) != std::string_view::npos)) {
    uint64_t magnitude = value.integer() < 0 ? 0 - uint64_t(value.integer()) : uint64_t(value.integer());
    unsigned base = type == 'x' || type == 'X' ? 16 : type == 'o' ? 8 : type == 'b' ? 2 : 10;
    return inBase(magnitude, base, type == 'X');
  }
  double magnitude = std::fabs(value.number());
  if (type == 0 && spec.precision < 0)
    return formatFloat(magnitude);
  if (type == '%')
    return printFloat('f', spec.precision < 0 ? 6 : spec.precision, magnitude * 100) + "%";
  if (type != 0 && std::string_view("eEfFgG").find(type) != std::string_view::npos)
    return printFloat(type, spec.precision < 0 ? 6 : spec.precision, magnitude);
  return unsupported("the format type '" + std::string(1, type ? type : '.') + "' is not supported for " + typeName(value));
}

std::string groupThousands(const std::string &digits) {
  size_t whole = std::min(digits.find_first_not_of("0123456789"), digits.size());
  std::string out;
  for (size_t i = 0; i < whole; ++i) {
    if (i && (whole - i) % 3 == 0)
      out += ',';
    out += digits[i];
  }
  return out + digits.substr(whole);
}

Expected<std::string> formatNumber(Rendering &rendering, const FormatSpec &spec, const Value &value) {
  LLMC_TRY(digits, formatMagnitude(spec, value));
  if (spec.grouped)
    digits = groupThousands(digits);
  bool isNegative = value.is(Kind::Float) ? std::signbit(value.number()) : value.integer() < 0;
  std::string sign = isNegative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  if (spec.zeros && !spec.align) {
    LLMC_TRY(padded, padText(rendering, Value::of(digits), spec.width - int64_t(sign.size()), 1, "0"));
    return sign + padded.text();
  }
  int alignment = spec.align == '<' ? -1 : spec.align == '^' ? 0 : 1;
  LLMC_TRY(padded, padText(rendering, Value::of(sign + digits), spec.width, alignment, spec.fill));
  return padded.text();
}

Expected<std::string> formatValue(Rendering &rendering, const FormatSpec &spec, const Value &value) {
  if (value.is(Kind::Int) || value.is(Kind::Float) || (value.is(Kind::Bool) && spec.type))
    return formatNumber(rendering, spec, value);
  if (spec.type && spec.type != 's')
    return invalidInput("unknown format code '" + std::string(1, spec.type) + "' for " + typeName(value));
  LLMC_TRY(text, toText(rendering, value));
  if (spec.precision >= 0)
    text = text.substr(0, byteOffset(text, size_t(spec.precision)));
  int alignment = spec.align == '>' ? 1 : spec.align == '^' ? 0 : -1;
  LLMC_TRY(padded, padText(rendering, Value::of(text), spec.width, alignment, spec.fill));
  return padded.text();
}

// One str.format call.
class BraceFormatter {
public:
  BraceFormatter(Rendering &rendering, std::string_view format, const Arguments &arguments)
      : rendering(rendering), format(format), arguments(arguments) {}

  Expected<std::string> run() {
    for (size_t at = 0; at < format.size();) {
      char c = format[at];
      bool isDouble = at + 1 < format.size() && format[at + 1] == c;
      if ((c == '{' || c == '}') && isDouble) {
        out += c;
        at += 2;
      } else if (c == '{') {
        size_t end = format.find('}', at);
        if (end == format.npos)
          return invalidInput("format: expected '}' before end of string");
        LLMC_CHECK(putField(format.substr(at + 1, end - at - 1)));
        at = end + 1;
      } else if (c == '}') {
        return invalidInput("format: single '}' encountered in format string");
      } else {
        out += c;
        ++at;
      }
    }
    return std::move(out);
  }

private:
  Expected<void> putField(std::string_view field) {
    size_t colon = field.find(':');
    std::string_view name = field.substr(0, colon);
    bool isRepr = name.ends_with("!r");
    if (isRepr || name.ends_with("!s"))
      name.remove_suffix(2);
    LLMC_TRY(value, find(name));
    if (isRepr) {
      LLMC_TRY(text, toRepr(rendering, value));
      value = Value::of(text);
    }
    LLMC_TRY(spec, parseSpec(colon == field.npos ? "" : field.substr(colon + 1)));
    LLMC_TRY(text, formatValue(rendering, spec, value));
    out += text;
    return rendering.budget.bytes(text.size() + 1);
  }

  Expected<Value> find(std::string_view name) {
    if (name.find_first_of(".[{!") != name.npos)
      return unsupported("format: the field " + quoteText(name) + " is not supported: pass the value itself");
    bool isNumber = !name.empty() && std::ranges::all_of(name, [](char c) { return std::isdigit(uint8_t(c)) != 0; });
    if (name.empty() || isNumber) {
      size_t index = next++;
      if (isNumber)
        index = size_t(parseInt(name, 10).value_or(INT64_MAX));
      if (index < arguments.positional.size())
        return arguments.positional[index];
      return invalidInput("format: replacement index " + std::to_string(index) + " out of range for positional args");
    }
    for (const auto &[keyword, value] : arguments.keywords)
      if (keyword == name)
        return value;
    return invalidInput("format: no argument is called " + quoteText(name));
  }

  Rendering &rendering;
  std::string_view format;
  const Arguments &arguments;
  std::string out;
  size_t next = 0;
};

// One `format % arguments`.
class PercentFormatter {
public:
  PercentFormatter(Rendering &rendering, std::string_view format, const Value &arguments)
      : rendering(rendering), format(format), given(arguments) {
    if (arguments.is(Kind::Tuple))
      items = arguments.sequence().items;
    else
      items = {arguments};
  }

  Expected<std::string> run() {
    while (at < format.size()) {
      size_t percent = std::min(format.find('%', at), format.size());
      out += format.substr(at, percent - at);
      at = percent;
      if (at < format.size())
        LLMC_CHECK(putOne());
    }
    if (next < items.size() && !given.is(Kind::Dict))
      return invalidInput("not all arguments converted during string formatting");
    return std::move(out);
  }

private:
  Expected<void> putOne() {
    ++at;
    if (at < format.size() && format[at] == '%') {
      out += format[at++];
      return {};
    }
    LLMC_TRY(value, argument());
    FormatSpec spec;
    LLMC_CHECK(readSpec(spec));
    if (spec.type == 'r') {
      LLMC_TRY(text, toRepr(rendering, value));
      value = Value::of(text);
      spec.type = 's';
    }
    bool wantsNumber = spec.type != 's';
    if (wantsNumber && !value.isNumber())
      return value.is(Kind::Undefined) ? undefinedError(value)
                                       : invalidInput("%" + std::string(1, spec.type) + " format: a number is required, not " + typeName(value));
    if (spec.type == 'd')
      value = Value::of(value.isInteger() ? value.integer() : int64_t(std::clamp(value.number(), -9e18, 9e18)));
    if (spec.type == 's') {
      LLMC_TRY(text, toText(rendering, value));
      value = Value::of(text);
    }
    LLMC_TRY(text, formatValue(rendering, spec, value));
    out += text;
    return rendering.budget.bytes(text.size() + 1);
  }

  Expected<Value> argument() {
    if (at < format.size() && format[at] == '(') {
      size_t end = format.find(')', at);
      if (end == format.npos)
        return invalidInput("incomplete format key");
      std::string_view key = format.substr(at + 1, end - at - 1);
      at = end + 1;
      const Value *found = given.is(Kind::Dict) ? given.dict().find(key) : nullptr;
      return found ? Expected<Value>(*found) : invalidInput("format: no argument is called " + quoteText(key));
    }
    if (next < items.size())
      return items[next++];
    return invalidInput("not enough arguments for format string");
  }

  Expected<void> readSpec(FormatSpec &spec) {
    bool isLeft = false;
    for (; at < format.size() && std::string_view("-+ 0#").find(format[at]) != std::string_view::npos; ++at) {
      isLeft |= format[at] == '-';
      spec.zeros |= format[at] == '0';
      if (format[at] == '+' || format[at] == ' ')
        spec.sign = format[at];
    }
    LLMC_TRY(width, readNumber(format, at));
    spec.width = width;
    if (at < format.size() && format[at] == '.') {
      LLMC_TRY(precision, readNumber(format, ++at));
      spec.precision = precision;
    }
    if (at == format.size() || std::string_view("srdifFeEgGxXo").find(format[at]) == std::string_view::npos)
      return unsupported("format: want one of %s %r %d %i %f %e %g %x %o" +
                         (at < format.size() ? ", got %" + std::string(1, format[at]) : std::string(", got nothing after %")));
    spec.type = format[at] == 'i' ? 'd' : format[at];
    ++at;
    spec.align = isLeft ? '<' : spec.type == 's' || spec.type == 'r' ? '>' : 0;
    return {};
  }

  Rendering &rendering;
  std::string_view format;
  const Value &given;
  std::vector<Value> items;
  std::string out;
  size_t at = 0, next = 0;
};

} // namespace

Expected<std::string> formatWithBraces(Rendering &rendering, const std::string &format, const Arguments &arguments) {
  LLMC_CHECK(rendering.budget.step(format.size() / 8));
  return BraceFormatter(rendering, format, arguments).run();
}

Expected<Value> formatPercent(Rendering &rendering, const std::string &format, const Value &arguments) {
  LLMC_CHECK(rendering.budget.step(format.size() / 8));
  LLMC_TRY(text, PercentFormatter(rendering, format, arguments).run());
  return rendering.heap.text(std::move(text));
}

Expected<Value> padText(Rendering &rendering, const Value &text, int64_t width, int alignment, std::string_view fill) {
  LLMC_CHECK(rendering.budget.step(text.text().size() / 64));
  int64_t missing = width - int64_t(countCodePoints(text.text()));
  if (missing <= 0)
    return text;
  LLMC_CHECK(rendering.budget.bytes(size_t(missing) * fill.size() + text.text().size()));
  // str.center puts the odd one at the left where the width is odd.
  int64_t left = alignment < 0 ? 0 : alignment > 0 ? missing : missing / 2 + (missing & width & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i)
    out += fill;
  out += text.text();
  for (int64_t i = left; i < missing; ++i)
    out += fill;
  return Value::of(std::move(out), text.isSafe());
}

Expected<Value> replaceIn(Rendering &rendering, const Value &text, const std::string &from, const std::string &to, int64_t limit) {
  constexpr size_t maxBytes = size_t(64) << 20;
  LLMC_CHECK(rendering.budget.step(text.text().size() / 64));
  auto replaced = replace(text.text(), from, to, limit, maxBytes);
  if (!replaced)
    return invalidInput("replace: the result has more than " + std::to_string(maxBytes) + " bytes");
  return rendering.heap.text(std::move(*replaced), text.isSafe());
}

bool hasCase(std::string_view text, bool (*isOne)(uint32_t), bool (*isOther)(uint32_t)) {
  bool found = false;
  for (std::string_view character : CodePoints(text)) {
    uint32_t c = decodeFirst(character).codePoint;
    if (isOther(c))
      return false;
    found |= isOne(c);
  }
  return found;
}

} // namespace llmc::jinja
