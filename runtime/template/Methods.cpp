#include "runtime/template/Methods.h"

#include "runtime/template/Parameters.h"
#include "runtime/template/PythonText.h"
#include "runtime/template/TextFormat.h"

#include <algorithm>
#include <span>

namespace llmc::jinja {
namespace {

using Method = Expected<Value> (*)(Rendering &, const Value &self, Arguments);
struct MethodRow {
  std::string_view name;
  Method method;
};

// --- str ---

// Methods that make a text from a text keep Markup what it is.
Expected<Value> likeSelf(Rendering &rendering, const Value &self, std::string_view text) {
  LLMC_CHECK(rendering.budget.step(self.text().size() / 64));
  return rendering.heap.text(std::string(text), self.isSafe());
}

template <std::string (*Map)(std::string_view)> Expected<Value> mapText(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_CHECK(Parameters::bind("str", std::move(given), {}));
  LLMC_CHECK(rendering.budget.step(self.text().size() / 8));
  return likeSelf(rendering, self, Map(self.text()));
}

template <std::string_view (*Strip)(std::string_view, std::optional<std::string_view>)>
Expected<Value> stripText(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("strip", std::move(given), {"chars"}));
  LLMC_TRY(chars, bound.text(0));
  LLMC_CHECK(rendering.budget.step(chars ? self.text().size() / 64 * (chars->size() + 1) : 0));
  return likeSelf(rendering, self, Strip(self.text(), chars));
}

Expected<Value> listOf(Rendering &rendering, const Value &self, const std::vector<std::string_view> &parts) {
  LLMC_CHECK(rendering.budget.bytes(self.text().size() + parts.size() * 64));
  std::vector<Value> items;
  for (std::string_view part : parts)
    items.push_back(Value::of(std::string(part), self.isSafe()));
  return rendering.heap.list(std::move(items));
}

template <std::vector<std::string_view> (*Split)(std::string_view, std::optional<std::string_view>, int64_t)>
Expected<Value> splitText(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("split", std::move(given), {"sep", "maxsplit"}));
  LLMC_TRY(separator, bound.text(0));
  LLMC_TRY(limit, bound.integer(1, -1));
  if (separator && separator->empty())
    return invalidInput("split: empty separator");
  return listOf(rendering, self, Split(self.text(), separator, limit));
}

Expected<Value> splitLinesOf(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("splitlines", std::move(given), {"keepends"}));
  return listOf(rendering, self, splitLines(self.text(), bound.truth(0, false)));
}

template <bool fromRight> Expected<Value> partition(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("partition", std::move(given), {"sep"}, 1));
  LLMC_TRY(separator, bound.text(0));
  if (!separator || separator->empty())
    return invalidInput("partition: empty separator");
  std::string_view text = self.text();
  size_t at = fromRight ? text.rfind(*separator) : text.find(*separator);
  std::string_view parts[3] = {text, "", ""};
  if (at != text.npos)
    parts[0] = text.substr(0, at), parts[1] = *separator, parts[2] = text.substr(at + separator->size());
  else if (fromRight)
    std::swap(parts[0], parts[2]);
  std::vector<Value> items;
  for (std::string_view part : parts) {
    LLMC_TRY(item, likeSelf(rendering, self, part));
    items.push_back(item);
  }
  return rendering.heap.tuple(std::move(items));
}

// A text's part from character `start` to `stop`, as slicing cuts it, and where it begins.
struct Window {
  std::string_view text;
  size_t firstCharacter = 0;
  bool isOutside = false; // begins behind the end: nothing is found there, not even an empty text
};

Expected<Window> windowOf(Rendering &rendering, const Value &self, const Parameters &bound, size_t startIndex) {
  std::string_view text = self.text();
  LLMC_CHECK(rendering.budget.step(text.size() / 64));
  int64_t size = int64_t(countCodePoints(text));
  LLMC_TRY(start, bound.integer(startIndex, 0));
  LLMC_TRY(stop, bound.integer(startIndex + 1, size));
  start = start < 0 ? std::max<int64_t>(start + size, 0) : start;
  stop = std::clamp<int64_t>(stop < 0 ? stop + size : stop, 0, size);
  if (start > size || start > stop)
    return Window{{}, 0, true};
  size_t first = byteOffset(text, size_t(start));
  return Window{text.substr(first, byteOffset(text.substr(first), size_t(stop - start))), size_t(start)};
}

template <bool atEnd> Expected<Value> hasAffix(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind(atEnd ? "endswith" : "startswith", std::move(given), {"affix", "start", "end"}, 1));
  LLMC_TRY(window, windowOf(rendering, self, bound, 1));
  Value affix = bound.at(0);
  std::vector<Value> candidates{affix};
  if (affix.is(Kind::Tuple))
    candidates = affix.sequence().items;
  for (const Value &candidate : candidates) {
    LLMC_CHECK(rendering.budget.step());
    if (candidate.is(Kind::Undefined))
      return undefinedError(candidate);
    if (!candidate.is(Kind::String))
      return invalidInput("want a text or a tuple of texts, got " + typeName(candidate));
    const std::string &text = candidate.text();
    if (!window.isOutside && (atEnd ? window.text.ends_with(text) : window.text.starts_with(text)))
      return Value::of(true);
  }
  return Value::of(false);
}

template <bool fromRight, bool mustBeThere> Expected<Value> findText(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("find", std::move(given), {"sub", "start", "end"}, 1));
  LLMC_TRY(text, bound.text(0));
  LLMC_TRY(window, windowOf(rendering, self, bound, 1));
  LLMC_CHECK(rendering.budget.step(self.text().size() / 64));
  size_t at = window.isOutside || !text ? std::string::npos : fromRight ? window.text.rfind(*text) : window.text.find(*text);
  if (at != std::string::npos)
    return Value::of(int64_t(window.firstCharacter + countCodePoints(window.text.substr(0, at))));
  return mustBeThere ? Expected<Value>(invalidInput("substring not found")) : Value::of(int64_t(-1));
}

Expected<Value> countText(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("count", std::move(given), {"sub", "start", "end"}, 1));
  LLMC_TRY(text, bound.text(0));
  LLMC_TRY(window, windowOf(rendering, self, bound, 1));
  LLMC_CHECK(rendering.budget.step(self.text().size() / 8));
  if (!text || window.isOutside)
    return Value::of(int64_t(0));
  if (text->empty())
    return Value::of(int64_t(countCodePoints(window.text) + 1));
  int64_t count = 0;
  for (size_t at = 0; (at = window.text.find(*text, at)) != window.text.npos; at += text->size())
    ++count;
  return Value::of(count);
}

Expected<Value> replaceText(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("replace", std::move(given), {"old", "new", "count"}, 2));
  LLMC_TRY(from, bound.text(0));
  LLMC_TRY(to, bound.text(1));
  LLMC_TRY(limit, bound.integer(2, -1));
  if (!from || !to)
    return invalidInput("replace: want two texts, got None");
  return replaceIn(rendering, self, *from, *to, limit);
}

template <bool atEnd> Expected<Value> removeAffix(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind(atEnd ? "removesuffix" : "removeprefix", std::move(given), {"affix"}, 1));
  LLMC_TRY(affix, bound.text(0));
  std::string_view text = self.text();
  if (affix && !affix->empty() && (atEnd ? text.ends_with(*affix) : text.starts_with(*affix)))
    text = atEnd ? text.substr(0, text.size() - affix->size()) : text.substr(affix->size());
  return likeSelf(rendering, self, text);
}

Expected<Value> joinItems(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("join", std::move(given), {"items"}, 1));
  LLMC_TRY(items, iterate(rendering, bound.at(0)));
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is(Kind::String))
      return invalidInput("join: item " + std::to_string(i) + ": want a text, got " + typeName(items[i]));
    LLMC_CHECK(rendering.budget.bytes(items[i].text().size() + self.text().size()));
    if (i)
      out += self.text();
    out += items[i].text();
  }
  return Value::of(std::move(out), self.isSafe());
}

// Alignment -1: text at the left; 0: in the middle; 1: at the right.
template <int alignment> Expected<Value> pad(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("ljust, rjust or center", std::move(given), {"width", "fillchar"}, 1));
  LLMC_TRY(width, bound.integer(0, 0));
  LLMC_TRY(fill, bound.text(1));
  if (fill && countCodePoints(*fill) != 1)
    return invalidInput("the fill character must be exactly one character long");
  return padText(rendering, self, width, alignment, fill.value_or(" "));
}

Expected<Value> zeroFill(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("zfill", std::move(given), {"width"}, 1));
  LLMC_TRY(width, bound.integer(0, 0));
  std::string_view text = self.text();
  std::string sign;
  if (text.starts_with('-') || text.starts_with('+'))
    sign = text.substr(0, 1), text.remove_prefix(1);
  LLMC_TRY(padded, padText(rendering, Value::of(std::string(text)), width - int64_t(sign.size()), 1, "0"));
  return rendering.heap.text(sign + padded.text());
}

template <bool (*IsOne)(uint32_t)> Expected<Value> allAre(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_CHECK(Parameters::bind("str", std::move(given), {}));
  LLMC_CHECK(rendering.budget.step(self.text().size() / 8));
  for (std::string_view character : CodePoints(self.text()))
    if (!IsOne(decodeFirst(character).codePoint))
      return Value::of(false);
  return Value::of(!self.text().empty());
}

bool isAlphanumeric(uint32_t c) { return isAlphabetic(c) || isNumeric(c); }

template <bool (*IsOne)(uint32_t), bool (*IsOther)(uint32_t)>
Expected<Value> allCasedAre(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_CHECK(Parameters::bind("str", std::move(given), {}));
  LLMC_CHECK(rendering.budget.step(self.text().size() / 8));
  return Value::of(hasCase(self.text(), IsOne, IsOther));
}

std::string swapCase(std::string_view text) {
  std::string out;
  for (std::string_view character : CodePoints(text))
    out += isUpper(decodeFirst(character).codePoint) ? lower(character) : upper(character);
  return out;
}

Expected<Value> formatBraces(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(text, formatWithBraces(rendering, self.text(), given));
  return rendering.heap.text(std::move(text), self.isSafe());
}

constexpr MethodRow textMethods[] = {
    {"capitalize", mapText<capitalize>},
    {"casefold", mapText<lower>},
    {"center", pad<0>},
    {"count", countText},
    {"endswith", hasAffix<true>},
    {"find", findText<false, false>},
    {"format", formatBraces},
    {"index", findText<false, true>},
    {"isalnum", allAre<isAlphanumeric>},
    {"isalpha", allAre<isAlphabetic>},
    {"isdecimal", allAre<isDecimalDigit>},
    {"isdigit", allAre<isDecimalDigit>},
    {"islower", allCasedAre<isLower, isUpper>},
    {"isnumeric", allAre<isNumeric>},
    {"isspace", allAre<isSpace>},
    {"isupper", allCasedAre<isUpper, isLower>},
    {"join", joinItems},
    {"ljust", pad<-1>},
    {"lower", mapText<lower>},
    {"lstrip", stripText<stripLeft>},
    {"partition", partition<false>},
    {"removeprefix", removeAffix<false>},
    {"removesuffix", removeAffix<true>},
    {"replace", replaceText},
    {"rfind", findText<true, false>},
    {"rindex", findText<true, true>},
    {"rjust", pad<1>},
    {"rpartition", partition<true>},
    {"rsplit", splitText<splitFromRight>},
    {"rstrip", stripText<stripRight>},
    {"split", splitText<split>},
    {"splitlines", splitLinesOf},
    {"startswith", hasAffix<false>},
    {"strip", stripText<strip>},
    {"swapcase", mapText<swapCase>},
    {"title", mapText<title>},
    {"upper", mapText<upper>},
    {"zfill", zeroFill},
};
constexpr std::string_view missingTextMethods[] = {"encode",       "expandtabs", "format_map", "isascii",  "isidentifier",
                                                   "isprintable", "istitle",    "maketrans",  "translate"};

// --- dict ---

Expected<Value> dictView(Rendering &rendering, const Dict &dict, std::string_view type, auto itemOf) {
  LLMC_CHECK(rendering.budget.step(dict.entries.size()));
  std::vector<Value> items;
  for (const auto &entry : dict.entries) {
    Expected<Value> item = itemOf(entry);
    LLMC_CHECK(item);
    items.push_back(std::move(*item));
  }
  return rendering.heap.sequence(Kind::View, std::move(items), type);
}

Expected<Value> dictItems(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_CHECK(Parameters::bind("items", std::move(given), {}));
  return dictView(rendering, self.dict(), "dict_items",
                  [&](const auto &entry) { return rendering.heap.tuple({entry.first, entry.second}); });
}
Expected<Value> dictKeys(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_CHECK(Parameters::bind("keys", std::move(given), {}));
  return dictView(rendering, self.dict(), "dict_keys", [](const auto &entry) { return Expected<Value>(entry.first); });
}
Expected<Value> dictValues(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_CHECK(Parameters::bind("values", std::move(given), {}));
  return dictView(rendering, self.dict(), "dict_values", [](const auto &entry) { return Expected<Value>(entry.second); });
}
Expected<Value> dictGet(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("get", std::move(given), {"key", "default"}, 1));
  Value key = bound.at(0);
  LLMC_CHECK(checkHashable(rendering, key));
  const Value *found = self.dict().find(key);
  return found ? *found : bound.at(1);
}
Expected<Value> dictCopy(Rendering &, const Value &self, Arguments given) {
  LLMC_CHECK(Parameters::bind("copy", std::move(given), {}));
  return self; // neither can change
}

constexpr MethodRow dictMethods[] = {
    {"copy", dictCopy}, {"get", dictGet}, {"items", dictItems}, {"keys", dictKeys}, {"values", dictValues}};
constexpr std::string_view changingDictMethods[] = {"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::string_view missingDictMethods[] = {"fromkeys"};

// --- list and tuple ---

Expected<Value> listCount(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("count", std::move(given), {"value"}, 1));
  int64_t count = 0;
  for (const Value &item : self.sequence().items) {
    LLMC_TRY(same, equals(rendering, item, bound.at(0)));
    count += same;
  }
  return Value::of(count);
}
Expected<Value> listIndex(Rendering &rendering, const Value &self, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("index", std::move(given), {"value"}, 1));
  const auto &items = self.sequence().items;
  for (size_t i = 0; i < items.size(); ++i) {
    LLMC_TRY(same, equals(rendering, items[i], bound.at(0)));
    if (same)
      return Value::of(int64_t(i));
  }
  return invalidInput("index: the value is not in the list");
}
Expected<Value> listCopy(Rendering &, const Value &self, Arguments given) {
  LLMC_CHECK(Parameters::bind("copy", std::move(given), {}));
  return self;
}

constexpr MethodRow listMethods[] = {{"copy", listCopy}, {"count", listCount}, {"index", listIndex}};
constexpr MethodRow tupleMethods[] = {{"count", listCount}, {"index", listIndex}};
constexpr std::string_view changingListMethods[] = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};

// --- finding them ---

struct TypeMethods {
  std::span<const MethodRow> methods;
  std::span<const std::string_view> changing, missing;
};

TypeMethods methodsOf(Kind kind) {
  switch (kind) {
  case Kind::String: return {textMethods, {}, missingTextMethods};
  case Kind::Dict: return {dictMethods, changingDictMethods, missingDictMethods};
  case Kind::List: return {listMethods, changingListMethods, {}};
  case Kind::Tuple: return {tupleMethods, {}, {}};
  default: return {};
  }
}

Expected<std::optional<Value>> numberMember(const Value &object, const std::string &name) {
  if (name == "real" || (name == "numerator" && object.isInteger()))
    return object.is(Kind::Bool) ? Value::of(object.integer()) : object;
  if (name == "imag")
    return object.isInteger() ? Value::of(int64_t(0)) : Value::of(0.0);
  if (name == "denominator" && object.isInteger())
    return Value::of(int64_t(1));
  for (std::string_view missing : {"as_integer_ratio", "bit_count", "bit_length", "conjugate", "fromhex", "from_bytes", "hex", "is_integer", "to_bytes"})
    if (name == missing)
      return unsupported("the method '" + name + "' of numbers is not supported");
  return std::nullopt;
}

Value unsafe(const Value &object, const std::string &name) {
  return Value::undefined("access to attribute '" + name + "' of '" + typeName(object) + "' object is unsafe");
}

} // namespace

Expected<std::optional<Value>> findMethod(Rendering &rendering, const Value &object, const std::string &name) {
  if (object.is(Kind::Loop))
    return static_cast<AttributeOwner &>(*object.object()).attribute(name);
  if (object.is(Kind::Namespace)) {
    const Value *found = object.names().attributes.find(name);
    return found ? std::optional(*found) : std::nullopt;
  }
  if (name.starts_with("__"))
    return object.is(Kind::Dict) && object.dict().find(name) ? std::nullopt : std::optional(unsafe(object, name));
  if (object.is(Kind::Function) && name == "name" && object.function().type == "Macro")
    return Value::of(object.function().name);
  if (object.isNumber())
    return numberMember(object, name);
  TypeMethods of = methodsOf(object.kind());
  if (std::ranges::find(of.changing, name) != of.changing.end())
    return unsafe(object, name);
  if (std::ranges::find(of.missing, name) != of.missing.end())
    return unsupported("the method '" + name + "' of " + typeName(object) + " is not supported");
  auto found = std::ranges::find(of.methods, name, &MethodRow::name);
  if (found == of.methods.end())
    return std::nullopt;
  Method method = found->method;
  return rendering.heap.function(name, [&rendering, object, method](Arguments given) -> Expected<Value> {
    return method(rendering, object, std::move(given));
  });
}

} // namespace llmc::jinja
