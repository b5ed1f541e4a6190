#include "runtime/template/Lexer.h"

#include "runtime/support/Text.h"
#include "runtime/template/PythonText.h"
#include "runtime/template/Syntax.h"

#include <algorithm>
#include <cstdlib>

namespace llmc::jinja {
namespace {

constexpr std::string_view operators[] = {"**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]",
                                          "(",  ")",  "{",  "}",  ">",  "<",  "=", ".", ":", "|", ",", ";"};

bool isDigitByte(char c) { return c >= '0' && c <= '9'; }
bool isNameStart(uint32_t c) { return c == '_' || isAlphabetic(c) || (c >= 0x80 && isWordCharacter(c)); }
bool isNamePart(uint32_t c) { return c == '_' || isAlphabetic(c) || isNumeric(c) || (c >= 0x80 && isWordCharacter(c)); }

class Lexer {
public:
  explicit Lexer(const std::string &source) : source(source) {}

  Expected<std::vector<Token>> run() {
    while (at < source.size())
      LLMC_CHECK(lexText());
    add(TokenKind::End, at, "");
    return std::move(tokens);
  }

private:
  std::string_view rest() const { return std::string_view(source).substr(at); }
  std::unexpected<Error> fail(size_t offset, const std::string &what) const {
    return invalidInput(describeOffset(source, offset) + ": " + what);
  }
  void add(TokenKind kind, size_t offset, std::string text, Value number = Value()) {
    tokens.push_back({kind, uint32_t(offset), std::move(text), std::move(number)});
  }

  // Text up to the next tag, and the tag.
  Expected<void> lexText() {
    size_t tag = nextTag();
    std::string_view text = std::string_view(source).substr(at, tag - at);
    size_t start = at;
    if (tag == source.size()) {
      addText(start, text);
      at = tag;
      return {};
    }
    char sort = source[tag + 1], sign = tag + 2 < source.size() ? source[tag + 2] : ' ';
    addText(start, beforeTag(text, sort, sign));
    at = tag + 2 + (sign == '-' || sign == '+');
    if (sort == '#')
      return lexComment(tag);
    if (sort == '%' && isRaw())
      return lexRaw(tag);
    add(sort == '%' ? TokenKind::BlockBegin : TokenKind::VariableBegin, tag, "");
    return lexTag(tag, sort == '%');
  }

  size_t nextTag() const {
    for (size_t i = at; (i = source.find('{', i)) != source.npos; ++i)
      if (i + 1 < source.size() && (source[i + 1] == '{' || source[i + 1] == '%' || source[i + 1] == '#'))
        return i;
    return source.size();
  }

  void addText(size_t offset, std::string_view text) {
    if (!text.empty())
      add(TokenKind::Text, offset, std::string(text));
  }

  // "-" strips all white space; blocks and comments lose the blanks before them on their line unless "+".
  std::string_view beforeTag(std::string_view text, char sort, char sign) const {
    if (sign == '-')
      return stripRight(text);
    if (sign == '+' || sort == '{')
      return text;
    size_t line = text.rfind('\n') + 1;
    bool opensLine = line > 0 || at == 0 || source[at - 1] == '\n';
    return opensLine && strip(text.substr(line)).empty() ? text.substr(0, line) : text;
  }

  // Past the end of a tag that is `end` long; `trims`: past a line end too.
  void skipEnd(char sign, bool trims) {
    at += (sign == '-' || sign == '+') + 2;
    if (sign == '-')
      at = source.size() - stripLeft(rest()).size();
    else if (sign != '+' && trims && at < source.size() && source[at] == '\n')
      ++at;
  }

  Expected<void> lexComment(size_t tag) {
    size_t end = source.find("#}", at);
    if (end == source.npos)
      return fail(tag, "this comment has no end: want '#}'");
    char sign = end > at ? source[end - 1] : ' ';
    bool isSigned = sign == '-' || sign == '+';
    at = end - isSigned;
    skipEnd(isSigned ? sign : ' ', true);
    return {};
  }

  // {% raw %}: the end of its tag, or 0.
  bool isRaw() const { return rawTagEnd(at, "raw") != 0; }

  // The offset behind `name` and white space, where the tag ends with -%}, +%} or %}; 0 if it is another tag.
  size_t rawTagEnd(size_t from, std::string_view name) const {
    auto skipSpace = [&](size_t i) { return source.size() - stripLeft(std::string_view(source).substr(i)).size(); };
    size_t i = skipSpace(from);
    if (std::string_view(source).substr(i, name.size()) != name)
      return 0;
    i = skipSpace(i + name.size());
    std::string_view tail = std::string_view(source).substr(i);
    return tail.starts_with("%}") || tail.starts_with("-%}") || tail.starts_with("+%}") ? i : 0;
  }

  Expected<void> lexRaw(size_t tag) {
    at = rawTagEnd(at, "raw");
    skipEnd(source[at], false);
    for (size_t close = at; (close = source.find("{%", close)) != source.npos; close += 2) {
      char sign = close + 2 < source.size() ? source[close + 2] : ' ';
      size_t end = rawTagEnd(close + 2 + (sign == '-' || sign == '+'), "endraw");
      if (!end)
        continue;
      addText(at, beforeTag(std::string_view(source).substr(at, close - at), '%', sign));
      at = end;
      skipEnd(source[at], true);
      return {};
    }
    return fail(tag, "this raw block has no end: want '{% endraw %}'");
  }

  // The tokens within a tag and its end.
  Expected<void> lexTag(size_t tag, bool isBlock) {
    std::string open;
    while (at < source.size()) {
      if (open.empty() && isTagEnd(isBlock)) {
        add(isBlock ? TokenKind::BlockEnd : TokenKind::VariableEnd, at, "");
        skipEnd(source[at], isBlock);
        return {};
      }
      LLMC_CHECK(lexToken(open));
    }
    return fail(tag, std::string("this tag has no end: want '") + (isBlock ? "%}'" : "}}'"));
  }

  bool isTagEnd(bool isBlock) const {
    std::string_view text = rest();
    if (text.starts_with('-') || (isBlock && text.starts_with('+')))
      text.remove_prefix(1);
    return text.starts_with(isBlock ? "%}" : "}}");
  }

  Expected<void> lexToken(std::string &open) {
    char c = source[at];
    auto [codePoint, bytes] = decodeFirst(rest());
    if (isSpace(codePoint)) {
      at += bytes;
      return {};
    }
    if (c == '"' || c == '\'')
      return lexString(c);
    if (isDigitByte(c))
      return lexNumber();
    if (isNameStart(codePoint))
      return lexName();
    return lexOperator(open);
  }

  Expected<void> lexName() {
    size_t start = at;
    while (at < source.size() && isNamePart(decodeFirst(rest()).codePoint))
      at += decodeFirst(rest()).bytes;
    add(TokenKind::Name, start, source.substr(start, at - start));
    return {};
  }

  Expected<void> lexOperator(std::string &open) {
    for (std::string_view candidate : operators) {
      if (!rest().starts_with(candidate))
        continue;
      LLMC_CHECK(balance(candidate, open));
      add(TokenKind::Operator, at, std::string(candidate));
      at += candidate.size();
      return {};
    }
    return fail(at, "unexpected " + quoteText(rest().substr(0, decodeFirst(rest()).bytes)));
  }

  // Within brackets "}}" is not the end of a tag.
  Expected<void> balance(std::string_view text, std::string &open) const {
    if (text == "(" || text == "[" || text == "{")
      open += text == "(" ? ')' : text == "[" ? ']' : '}';
    if (text != ")" && text != "]" && text != "}")
      return {};
    if (open.empty() || open.back() != text[0])
      return fail(at, "unexpected '" + std::string(text) + "'" +
                          (open.empty() ? "" : ", want '" + open.substr(open.size() - 1) + "'"));
    open.pop_back();
    return {};
  }

  size_t digitsEnd(size_t i, bool (*isOne)(char)) const {
    while (i < source.size() && (isOne(source[i]) || (source[i] == '_' && i + 1 < source.size() && isOne(source[i + 1]))))
      ++i;
    return i;
  }

  Expected<void> lexNumber() {
    size_t start = at;
    char prefix = at + 1 < source.size() ? char(source[at + 1] | 32) : ' ';
    if (source[at] == '0' && (prefix == 'x' || prefix == 'o' || prefix == 'b')) {
      at = digitsEnd(at + 2, [](char c) { return std::isxdigit(uint8_t(c)) != 0; });
      return addInteger(start);
    }
    at = digitsEnd(at, isDigitByte);
    bool isFloat = false;
    bool followsDot = start > 0 && source[start - 1] == '.';
    if (!followsDot && at + 1 < source.size() && source[at] == '.' && isDigitByte(source[at + 1]))
      at = digitsEnd(at + 1, isDigitByte), isFloat = true;
    size_t exponent = at + 1 + (at + 1 < source.size() && (source[at + 1] == '-' || source[at + 1] == '+'));
    if (!followsDot && at < source.size() && (source[at] | 32) == 'e' && exponent < source.size() && isDigitByte(source[exponent]))
      at = digitsEnd(exponent, isDigitByte), isFloat = true;
    if (!isFloat)
      return addInteger(start);
    auto value = parseFloat(source.substr(start, at - start));
    if (!value)
      return fail(start, "want a number, got " + quoteText(source.substr(start, at - start)));
    add(TokenKind::Float, start, "", Value::of(*value));
    return {};
  }

  Expected<void> addInteger(size_t start) {
    std::string digits = source.substr(start, at - start);
    bool hasPrefix = digits.size() > 1 && !isDigitByte(digits[1]) && digits[1] != '_';
    auto value = parseInt(digits, hasPrefix ? 0 : 10);
    bool hasLeadingZeros = digits[0] == '0' && !hasPrefix && value != 0;
    if (!value || hasLeadingZeros)
      return fail(start, "want an integer below 2^63 without leading zeros, got " + quoteText(digits));
    add(TokenKind::Integer, start, digits, Value::of(*value));
    return {};
  }

  Expected<void> lexString(char mark) {
    size_t start = at++;
    std::string text;
    while (at < source.size() && source[at] != mark) {
      if (source[at] != '\\') {
        text += source[at++];
        continue;
      }
      LLMC_CHECK(lexEscape(text));
    }
    if (at == source.size())
      return fail(start, std::string("this text has no end: want ") + mark);
    ++at;
    add(TokenKind::String, start, std::move(text));
    return {};
  }

  // As in Python: a backslash before anything else stays.
  Expected<void> lexEscape(std::string &text) {
    static constexpr std::string_view letters = "abfnrtv\\'\"\n", meanings = "\a\b\f\n\r\t\v\\'\"";
    size_t start = at++;
    if (at == source.size())
      return {};
    char c = source[at];
    if (size_t known = letters.find(c); known != letters.npos) {
      if (known < meanings.size())
        text += meanings[known];
      ++at;
      return {};
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits)
      return lexHexEscape(text, start, digits);
    if (c >= '0' && c <= '7') {
      uint32_t value = 0;
      for (int i = 0; i < 3 && at < source.size() && source[at] >= '0' && source[at] <= '7'; ++i)
        value = value * 8 + uint32_t(source[at++] - '0');
      appendUtf8(text, value);
      return {};
    }
    if (c == 'N')
      return fail(start, "characters by name (\\N) are not supported: write \\u and their number");
    text += '\\';
    return {};
  }

  Expected<void> lexHexEscape(std::string &text, size_t start, size_t digits) {
    std::string hex = source.substr(at + 1, digits);
    bool isHex = hex.size() == digits && std::ranges::all_of(hex, [](char c) { return std::isxdigit(uint8_t(c)) != 0; });
    uint32_t value = isHex ? uint32_t(std::strtoul(hex.c_str(), nullptr, 16)) : 0;
    if (!isHex || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
      return fail(start, "want the number of a character of " + std::to_string(digits) + " hexadecimal digits, got " + quoteText(hex));
    at += 1 + digits;
    appendUtf8(text, value);
    return {};
  }

  const std::string &source;
  size_t at = 0;
  std::vector<Token> tokens;
};

} // namespace

Expected<std::vector<Token>> tokenize(const std::string &source) { return Lexer(source).run(); }

} // namespace llmc::jinja
