#include "runtime/tokenizer/RegexSyntax.h"

#include "runtime/support/Text.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <utility>
#include <vector>

namespace llmc {
namespace {

// White_Space. PCRE2's own \s has U+180E too.
constexpr std::string_view kSpace = "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}"
                                    "\\x{202F}\\x{205F}\\x{3000}";
constexpr std::string_view kNotSpace =
    "\\x{0}-\\x{8}\\x{E}-\\x{1F}\\x{21}-\\x{84}\\x{86}-\\x{9F}\\x{A1}-\\x{167F}\\x{1681}-\\x{1FFF}\\x{200B}-\\x{2027}"
    "\\x{202A}-\\x{202E}\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{10FFFF}";
// Alphabetic symbols, and the numbers of Latin-1 which Oniguruma counts as word characters.
constexpr std::string_view kWordSymbols = "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}"
                                          "\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}";

// A set of characters: `items` (inside of a PCRE2 class) and `others`, all united; then met with `limits`; then
// inverted if `isNegated`.
struct CharSet {
  std::string items;
  std::vector<CharSet> others;
  std::vector<CharSet> limits;
  bool isNegated = false;

  bool isFlat() const { return others.empty() && limits.empty(); }
};

void unite(CharSet &set, CharSet added) {
  if (added.isFlat() && !added.isNegated)
    set.items += added.items;
  else
    set.others.push_back(std::move(added));
}

std::string writeSet(const CharSet &set) {
  if (set.isFlat()) {
    if (set.items.empty())
      return set.isNegated ? "(?s:.)" : "(?!)";
    return (set.isNegated ? "[^" : "[") + set.items + "]";
  }
  std::string any = set.items.empty() ? "" : "[" + set.items + "]";
  for (const CharSet &other : set.others)
    any += (any.empty() ? "" : "|") + writeSet(other);
  any = any.empty() ? "(?!)" : "(?:" + any + ")";
  for (const CharSet &limit : set.limits)
    any = "(?:(?=" + writeSet(limit) + ")" + any + ")";
  return set.isNegated ? "(?:(?!" + any + ")(?s:.))" : any;
}

std::string categoryItem(std::string_view category) {
  return "\\p{" + std::string(category) + "}" + laterCharacters(category);
}

std::string wordItems() {
  std::string items;
  for (std::string_view category : {"L", "M", "Nd", "Nl", "Pc"})
    items += categoryItem(category);
  return items + std::string(kWordSymbols);
}

std::string codePointItem(uint32_t codePoint) {
  char item[16];
  std::snprintf(item, sizeof(item), "\\x{%X}", codePoint);
  return item;
}

bool isAlpha(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

class Translator {
public:
  explicit Translator(std::string_view pattern) : rest(pattern), whole(pattern) {}

  Expected<std::string> run() {
    while (!rest.empty()) {
      LLMC_CHECK(translateNext());
      if (out.size() > kMaxBytes)
        return refuse("a pattern this large");
    }
    return std::move(out);
  }

private:
  static constexpr int kMaxNesting = 32;
  static constexpr size_t kMaxBytes = size_t(1) << 20; // of the translation

  std::string_view rest, whole;
  std::string out;
  bool lastWasInterval = false;

  std::unexpected<Error> refuse(std::string what) const {
    return unsupported("regular expression " + quoteText(whole) + ": " + what + " is not supported");
  }

  bool take(std::string_view prefix) {
    if (!rest.starts_with(prefix))
      return false;
    rest.remove_prefix(prefix.size());
    return true;
  }

  // One whole character; the pattern is UTF-8.
  std::string_view takeCharacter() {
    std::string_view character = rest.substr(0, announcedBytes(uint8_t(rest[0])));
    rest.remove_prefix(character.size());
    return character;
  }

  Expected<void> translateNext() {
    bool afterInterval = std::exchange(lastWasInterval, false);
    switch (rest[0]) {
    case '\\':
      return translateEscape();
    case '[': {
      rest.remove_prefix(1);
      LLMC_TRY(set, parseClass(0));
      out += writeSet(set);
      return {};
    }
    case '(':
      return translateGroup();
    case '{':
      return translateInterval();
    case '+':
      if (afterInterval) // Oniguruma repeats the repetition, PCRE2 makes it possessive
        return refuse("'+' after '{…}'");
      [[fallthrough]];
    default:
      out += takeCharacter();
      return {};
    }
  }

  // {n}, {n,}, {n,m} are alike; {,m} is {0,m}; anything else is text.
  Expected<void> translateInterval() {
    size_t close = rest.find('}');
    std::string_view body = close == rest.npos ? std::string_view() : rest.substr(1, close - 1);
    bool isInterval = !body.empty() && body != "," &&
                      std::all_of(body.begin(), body.end(), [](char c) { return isDigit(c) || c == ','; }) &&
                      std::count(body.begin(), body.end(), ',') <= 1;
    if (!isInterval) {
      rest.remove_prefix(1);
      out += "\\{";
      return {};
    }
    out += body[0] == ',' ? "{0" : "{";
    out += body;
    out += '}';
    rest.remove_prefix(close + 1);
    lastWasInterval = true;
    return {};
  }

  Expected<void> translateGroup() {
    if (rest.starts_with("(*"))
      return refuse("'(*'");
    if (take("(?#")) {
      size_t close = rest.find(')');
      rest.remove_prefix(close == rest.npos ? rest.size() : close + 1);
      return {};
    }
    for (std::string_view plain : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"})
      if (take(plain)) {
        out += plain;
        return {};
      }
    if (rest.starts_with("(?<") && rest.size() > 3 && (isAlpha(rest[3]) || rest[3] == '_')) {
      out += "(?<";
      rest.remove_prefix(3);
      return {};
    }
    if (take("(?"))
      return translateOptions();
    rest.remove_prefix(1);
    out += "(";
    return {};
  }

  // (?imx-imx) and (?imx-imx: ; Oniguruma's m is PCRE2's s.
  Expected<void> translateOptions() {
    out += "(?";
    while (!rest.empty()) {
      char c = rest[0];
      rest.remove_prefix(1);
      if (c == 'i' || c == 'x' || c == '-' || c == 's')
        out += c;
      else if (c == 'm')
        out += 's';
      else if (c == ':' || c == ')') {
        out += c;
        return {};
      } else
        break;
    }
    return refuse("this kind of group");
  }

  std::string wordBoundary(bool isNegated) const {
    std::string word = "[" + wordItems() + "]";
    std::string at = "(?<=" + word + ")(?!" + word + ")", before = "(?<!" + word + ")(?=" + word + ")";
    return isNegated ? "(?!" + at + "|" + before + ")" : "(?:" + at + "|" + before + ")";
  }

  Expected<void> translateEscape() {
    if (rest.size() < 2)
      return refuse("a '\\' at the end");
    char c = rest[1];
    if (c == 'b' || c == 'B') {
      rest.remove_prefix(2);
      out += wordBoundary(c == 'B');
      return {};
    }
    bool isPlain = std::string_view("AzZGKRXNk123456789").find(c) != std::string_view::npos;
    if (isPlain || (!isAlpha(c) && !isDigit(c))) {
      out += '\\';
      rest.remove_prefix(1);
      out += takeCharacter();
      return {};
    }
    LLMC_TRY(set, parseEscape());
    out += writeSet(set);
    return {};
  }

  // A set of one character has exactly one item.
  static CharSet single(uint32_t codePoint) { return {codePointItem(codePoint), {}, {}, false}; }
  static CharSet inverted(std::string items) { return {std::move(items), {}, {}, true}; }

  // An escape that stands for a character or a set, inside of a class or outside.
  Expected<CharSet> parseEscape() {
    if (rest.size() < 2)
      return refuse("a '\\' at the end");
    char c = rest[1];
    rest.remove_prefix(2);
    switch (c) {
    case 'p':
    case 'P':
      return parseProperty(c == 'P');
    case 's':
      return CharSet{std::string(kSpace), {}, {}, false};
    case 'S':
      return CharSet{std::string(kNotSpace), {}, {}, false};
    case 'd':
      return CharSet{categoryItem("Nd"), {}, {}, false};
    case 'D':
      return inverted(categoryItem("Nd"));
    case 'w':
      return CharSet{wordItems(), {}, {}, false};
    case 'W':
      return inverted(wordItems());
    case 'h':
      return CharSet{"0-9a-fA-F", {}, {}, false};
    case 'H':
      return inverted("0-9a-fA-F");
    case 'n':
      return single('\n');
    case 't':
      return single('\t');
    case 'r':
      return single('\r');
    case 'f':
      return single('\f');
    case 'v':
      return single('\v');
    case 'a':
      return single('\a');
    case 'e':
      return single(0x1B);
    case 'b': // only inside of a class
      return single('\b');
    case 'x':
      return parseHex();
    case 'u':
      return parseDigits(4, 4, 16);
    case '0':
      return parseDigits(0, 2, 8);
    default:
      rest = std::string_view(rest.data() - 1, rest.size() + 1);
      return single(takeCodePoint());
    }
  }

  uint32_t takeCodePoint() {
    uint32_t codePoint = decodeFirst(rest).codePoint;
    takeCharacter();
    return codePoint;
  }

  Expected<CharSet> parseHex() {
    if (!take("{"))
      return parseDigits(1, 2, 16);
    LLMC_TRY(set, parseDigits(1, 6, 16));
    if (!take("}"))
      return refuse("'\\x{' without '}'");
    return std::move(set);
  }

  Expected<CharSet> parseDigits(size_t least, size_t most, int base) {
    uint32_t value = 0;
    std::string_view digits = rest.substr(0, most);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    size_t count = size_t(end - digits.data());
    if (count < least || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
      return refuse("this numeric escape");
    rest.remove_prefix(count);
    return single(value);
  }

  Expected<CharSet> parseProperty(bool isNegated) {
    size_t close = rest.find('}');
    if (!rest.starts_with("{") || close == rest.npos)
      return refuse("'\\p' without '{…}'");
    std::string_view name = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
    if (name.starts_with("^")) {
      isNegated = !isNegated;
      name.remove_prefix(1);
    }
    LLMC_TRY(items, propertyItems(name));
    return CharSet{items, {}, {}, isNegated};
  }

  Expected<std::string> propertyItems(std::string_view written) const {
    std::string name;
    for (char c : written)
      if (isAlpha(c) || isDigit(c))
        name += char(isAlpha(c) ? c | 32 : c);
      else if (c != ' ' && c != '_' && c != '-')
        return refuse("the property " + quoteText(written));
    struct Category {
      std::string_view name, category;
    };
    static constexpr Category kCategories[] = {{"letter", "L"},
                                               {"uppercaseletter", "Lu"},
                                               {"lowercaseletter", "Ll"},
                                               {"titlecaseletter", "Lt"},
                                               {"mark", "M"},
                                               {"modifierletter", "Lm"},
                                               {"otherletter", "Lo"},
                                               {"nonspacingmark", "Mn"},
                                               {"number", "N"},
                                               {"decimalnumber", "Nd"},
                                               {"letternumber", "Nl"},
                                               {"othernumber", "No"},
                                               {"symbol", "S"},
                                               {"punctuation", "P"},
                                               {"separator", "Z"},
                                               {"spaceseparator", "Zs"},
                                               {"other", "C"},
                                               {"mathsymbol", "Sm"},
                                               {"currencysymbol", "Sc"},
                                               {"modifiersymbol", "Sk"},
                                               {"digit", "Nd"},
                                               {"othersymbol", "So"},
                                               {"control", "Cc"},
                                               {"format", "Cf"},
                                               {"privateuse", "Co"},
                                               {"cntrl", "Cc"}};
    for (auto [long_, category] : kCategories)
      if (name == long_)
        return categoryItem(category);
    bool isCategory = name.size() <= 2 && !name.empty() && std::string_view("lmnpszc").find(name[0]) != name.npos;
    if (isCategory) {
      name[0] = char(name[0] - 32);
      if (name == "C" || name == "Cn") // unassigned characters differ between the versions; no pattern asks for them
        return refuse("the property " + quoteText(written));
      return categoryItem(name);
    }
    if (name == "space" || name == "whitespace")
      return std::string(kSpace);
    if (name == "word")
      return wordItems();
    if (name == "alnum")
      return categoryItem("L") + categoryItem("M") + categoryItem("Nd") + categoryItem("Nl");
    if (name == "any")
      return std::string("\\x{0}-\\x{10FFFF}");
    if (name == "ascii")
      return std::string("\\x{0}-\\x{7F}");
    if (name == "han") // Unicode 15's ideographs too
      return std::string("\\p{sc:Han}\\x{2B739}\\x{2EBF0}-\\x{2EE5D}\\x{31350}-\\x{323AF}");
    // A script; the compiler refuses names it does not know.
    return "\\p{sc:" + name + "}";
  }

  Expected<CharSet> parsePosix() {
    size_t close = rest.find(":]");
    bool isNegated = take("^");
    close = rest.find(":]");
    std::string_view name = rest.substr(0, close);
    rest.remove_prefix(close + 2);
    std::string items;
    if (name == "alpha")
      items = categoryItem("L") + categoryItem("M") + categoryItem("Nl");
    else if (name == "upper")
      items = categoryItem("Lu");
    else if (name == "lower")
      items = categoryItem("Ll");
    else if (name == "punct")
      items = categoryItem("P") + "$+<=>\\^`|~";
    else if (name == "xdigit")
      items = "0-9a-fA-F";
    else if (name == "blank")
      items = "\\x{9}" + categoryItem("Zs");
    else {
      LLMC_TRY(known, propertyItems(name));
      items = known;
    }
    return CharSet{items, {}, {}, isNegated};
  }

  // The body of a class, from after its '[' to its ']'.
  Expected<CharSet> parseClass(int nesting) {
    if (nesting > kMaxNesting)
      return refuse("a class this deeply nested");
    CharSet set;
    bool isNegated = take("^"), isFirst = true;
    std::vector<CharSet> limits;
    for (;; isFirst = false) {
      if (rest.empty())
        return refuse("a class without ']'");
      if (rest[0] == ']' && !isFirst) {
        rest.remove_prefix(1);
        break;
      }
      if (take("&&")) {
        limits.push_back(std::exchange(set, {}));
        continue;
      }
      LLMC_CHECK(parseClassItem(set, nesting));
      if (set.items.size() > kMaxBytes)
        return refuse("a class this large");
    }
    set.limits = std::move(limits);
    set.isNegated = isNegated;
    return std::move(set);
  }

  Expected<void> parseClassItem(CharSet &set, int nesting) {
    if (rest.starts_with("[:") && rest.find(":]") != rest.npos && rest.size() > 2 &&
        (isAlpha(rest[2]) || rest[2] == '^')) {
      rest.remove_prefix(2);
      LLMC_TRY(posix, parsePosix());
      unite(set, std::move(posix));
      return {};
    }
    if (take("[")) {
      LLMC_TRY(inner, parseClass(nesting + 1));
      unite(set, std::move(inner));
      return {};
    }
    LLMC_TRY(first, parseClassAtom());
    bool isRange = rest.size() >= 2 && rest[0] == '-' && rest[1] != ']' && rest[1] != '[' && isSingle(first);
    if (!isRange) {
      unite(set, std::move(first));
      return {};
    }
    std::string_view beforeDash = rest;
    rest.remove_prefix(1);
    LLMC_TRY(last, parseClassAtom());
    if (!isSingle(last)) { // [a-\w]: the dash is text
      rest = beforeDash.substr(1);
      set.items += first.items + "\\-";
      return {};
    }
    set.items += first.items + "-" + last.items;
    return {};
  }

  static bool isSingle(const CharSet &set) {
    return set.isFlat() && !set.isNegated && set.items.starts_with("\\x{") &&
           set.items.find('}') + 1 == set.items.size();
  }

  Expected<CharSet> parseClassAtom() {
    if (rest.empty())
      return refuse("a class without ']'");
    if (rest[0] == '\\')
      return parseEscape();
    return single(takeCodePoint());
  }
};

} // namespace

Expected<std::string> translateRegex(std::string_view pattern) {
  if (!isUtf8(pattern))
    return invalidInput("regular expression " + quoteText(pattern) + ": want UTF-8");
  return Translator(pattern).run();
}

std::string escapeRegex(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (uint8_t(c) < 0x80 && !isAlpha(c) && !isDigit(c) && c > ' ')
      out += '\\';
    out += c;
  }
  return out;
}

} // namespace llmc
