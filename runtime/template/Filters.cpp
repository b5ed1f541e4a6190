#include "runtime/template/Filters.h"

#include "runtime/support/Text.h"
#include "runtime/template/ItemFilters.h"
#include "runtime/template/Methods.h"
#include "runtime/template/Operators.h"
#include "runtime/template/Parameters.h"
#include "runtime/template/Print.h"
#include "runtime/template/PythonText.h"
#include "runtime/template/TextFormat.h"

#include <algorithm>
#include <cmath>

namespace llmc::jinja {
namespace {

using Filter = Expected<Value> (*)(Rendering &, const Value &input, Arguments);
struct FilterRow {
  std::string_view name;
  Filter filter;
};

// The input as a text: what is none is printed.
Expected<Value> softText(Rendering &rendering, const Value &input) {
  if (input.is(Kind::String))
    return input;
  LLMC_TRY(text, toText(rendering, input));
  return rendering.heap.text(std::move(text));
}

// --- text ---

// A method of str on the input as text.
Expected<Value> asMethod(Rendering &rendering, const char *method, const Value &input, Arguments given) {
  LLMC_TRY(text, softText(rendering, input));
  LLMC_TRY(found, findMethod(rendering, text, method));
  return found->function().call(std::move(given));
}
Expected<Value> filterUpper(Rendering &r, const Value &input, Arguments given) { return asMethod(r, "upper", input, std::move(given)); }
Expected<Value> filterLower(Rendering &r, const Value &input, Arguments given) { return asMethod(r, "lower", input, std::move(given)); }
Expected<Value> filterTrim(Rendering &r, const Value &input, Arguments given) { return asMethod(r, "strip", input, std::move(given)); }
Expected<Value> filterCapitalize(Rendering &r, const Value &input, Arguments given) {
  return asMethod(r, "capitalize", input, std::move(given));
}
Expected<Value> filterCenter(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("center", std::move(given), {"width"}));
  LLMC_TRY(width, bound.integer(0, 80));
  LLMC_TRY(text, softText(rendering, input));
  return padText(rendering, text, width, 0, " ");
}

// Words begin at the start, and behind blanks, hyphens and opening brackets.
Expected<Value> filterTitle(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("title", std::move(given), {}));
  LLMC_TRY(text, softText(rendering, input));
  LLMC_CHECK(rendering.budget.step(text.text().size() / 8));
  std::string out;
  bool begins = true;
  for (std::string_view character : CodePoints(text.text())) {
    uint32_t c = decodeFirst(character).codePoint;
    out += begins ? upper(character) : lower(character);
    begins = isSpace(c) || (c < 0x80 && std::string_view("-({[<").find(char(c)) != std::string_view::npos);
  }
  return rendering.heap.text(std::move(out));
}

Expected<Value> filterReplace(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("replace", std::move(given), {"old", "new", "count"}, 2));
  LLMC_TRY(text, toText(rendering, input));
  LLMC_TRY(from, toText(rendering, bound.at(0)));
  LLMC_TRY(to, toText(rendering, bound.at(1)));
  LLMC_TRY(limit, bound.integer(2, -1));
  return replaceIn(rendering, Value::of(std::move(text)), from, to, limit);
}

Expected<Value> filterString(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("string", std::move(given), {}));
  return softText(rendering, input);
}
Expected<Value> filterSafe(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("safe", std::move(given), {}));
  LLMC_TRY(text, toText(rendering, input));
  return rendering.heap.text(std::move(text), true);
}
Expected<Value> filterEscape(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("escape", std::move(given), {}));
  if (input.isSafe())
    return input;
  LLMC_TRY(text, toText(rendering, input));
  return rendering.heap.text(escapeHtml(text), true);
}
Expected<Value> filterForceEscape(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("forceescape", std::move(given), {}));
  LLMC_TRY(text, toText(rendering, input));
  return rendering.heap.text(escapeHtml(text), true);
}

Expected<Value> filterFormat(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(format, softText(rendering, input));
  if (!given.positional.empty() && !given.keywords.empty())
    return invalidInput("format: can't handle positional and keyword arguments at the same time");
  if (given.keywords.empty()) {
    LLMC_TRY(tuple, rendering.heap.tuple(std::move(given.positional)));
    return formatPercent(rendering, format.text(), tuple);
  }
  LLMC_TRY(dict, rendering.heap.make<Dict>());
  for (auto &[keyword, value] : given.keywords)
    dict->set(Value::of(keyword), std::move(value));
  return formatPercent(rendering, format.text(), Value::object(Kind::Dict, dict));
}

Expected<std::string> indentation(const Parameters &bound) {
  if (bound.at(0).is(Kind::String))
    return bound.at(0).text();
  LLMC_TRY(width, bound.integer(0, 4));
  if (width > (1 << 16))
    return invalidInput("indent: want a width of at most 65536");
  return std::string(size_t(std::max<int64_t>(width, 0)), ' ');
}

Expected<Value> filterIndent(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("indent", std::move(given), {"width", "first", "blank"}));
  if (input.is(Kind::Undefined))
    return undefinedError(input);
  if (!input.is(Kind::String))
    return invalidInput("indent: want a text, got " + typeName(input) + ": use '| string' or '| tojson' before it");
  LLMC_TRY(indent, indentation(bound));
  bool first = bound.truth(1, false), blank = bound.truth(2, false);
  std::string out = first ? indent : "";
  bool isFirst = true;
  std::string whole = input.text() + "\n"; // so that an empty last line counts
  for (std::string_view line : splitLines(whole, false)) {
    LLMC_CHECK(rendering.budget.bytes(line.size() + indent.size() + 1));
    if (!isFirst)
      (out += "\n") += blank || !line.empty() ? indent : "";
    out += line;
    isFirst = false;
  }
  return Value::of(std::move(out), input.isSafe());
}

Expected<Value> filterTruncate(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("truncate", std::move(given), {"length", "killwords", "end", "leeway"}));
  LLMC_TRY(text, softText(rendering, input));
  LLMC_TRY(length, bound.integer(0, 255));
  LLMC_TRY(end, bound.text(2));
  LLMC_TRY(leeway, bound.integer(3, 5));
  LLMC_CHECK(rendering.budget.step(text.text().size() / 64));
  std::string ending = end.value_or("...");
  int64_t kept = length - int64_t(countCodePoints(ending));
  if (kept < 0 || leeway < 0)
    return invalidInput("truncate: want a length that holds the ending, and a leeway of at least 0");
  if (int64_t(countCodePoints(text.text())) <= length + std::min<int64_t>(leeway, INT32_MAX))
    return text;
  std::string_view start = std::string_view(text.text()).substr(0, byteOffset(text.text(), size_t(kept)));
  if (!bound.truth(1, false))
    start = start.substr(0, start.rfind(' '));
  return rendering.heap.text(std::string(start) + ending);
}

Expected<Value> filterWordCount(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("wordcount", std::move(given), {}));
  LLMC_TRY(text, softText(rendering, input));
  LLMC_CHECK(rendering.budget.step(text.text().size() / 8));
  int64_t words = 0;
  bool within = false;
  for (std::string_view character : CodePoints(text.text())) {
    uint32_t c = decodeFirst(character).codePoint;
    bool isWord = c == '_' || isAlphabetic(c) || isNumeric(c);
    words += isWord && !within;
    within = isWord;
  }
  return Value::of(words);
}

// --- numbers ---

Expected<Value> filterAbs(Rendering &, const Value &input, Arguments given) {
  LLMC_CHECK(Parameters::bind("abs", std::move(given), {}));
  if (!input.isNumber())
    return input.is(Kind::Undefined) ? undefinedError(input) : invalidInput("abs: want a number, got " + typeName(input));
  bool isNegative = input.is(Kind::Float) ? std::signbit(input.number()) : input.integer() < 0;
  return applySign(isNegative ? UnaryOp::Negative : UnaryOp::Positive, input);
}

Expected<std::optional<int64_t>> truncated(double value) {
  if (std::isinf(value))
    return invalidInput("int: cannot convert float infinity to integer");
  if (std::isnan(value))
    return std::nullopt;
  if (std::fabs(value) >= 0x1p63)
    return unsupported("int: an integer beyond 64 bits is not supported");
  return int64_t(value);
}

Expected<Value> filterInt(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("int", std::move(given), {"default", "base"}));
  Value otherwise = bound.has(0) ? bound.at(0) : Value::of(int64_t(0));
  LLMC_TRY(base, bound.integer(1, 10));
  if (input.is(Kind::Undefined))
    return undefinedError(input);
  std::optional<int64_t> result;
  if (input.isInteger()) {
    result = input.integer();
  } else if (input.is(Kind::Float)) {
    LLMC_TRY(whole, truncated(input.number()));
    result = whole;
  } else if (input.is(Kind::String)) {
    LLMC_CHECK(rendering.budget.step(input.text().size() / 8));
    result = parseInt(input.text(), int(std::clamp<int64_t>(base, -1, 100)));
    if (auto number = result ? std::nullopt : parseFloat(input.text()); number && std::isfinite(*number)) {
      LLMC_TRY(whole, truncated(*number));
      result = whole;
    }
  }
  return result ? Value::of(*result) : otherwise;
}

Expected<Value> filterFloat(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("float", std::move(given), {"default"}));
  if (input.is(Kind::Undefined))
    return undefinedError(input);
  if (input.isNumber())
    return Value::of(input.number());
  LLMC_CHECK(rendering.budget.step(input.is(Kind::String) ? input.text().size() / 8 : 0));
  auto parsed = input.is(Kind::String) ? parseFloat(input.text()) : std::nullopt;
  return parsed ? Value::of(*parsed) : bound.has(0) ? bound.at(0) : Value::of(0.0);
}

// To the nearest, of two the even one, as round() does on the exact decimal value.
double roundTo(double value, int64_t precision) {
  if (precision < 0) {
    double unit = std::pow(10.0, double(-precision));
    return std::nearbyint(value / unit) * unit;
  }
  char text[400];
  int length = std::snprintf(text, sizeof text, "%.*f", int(precision), value);
  return length < int(sizeof text) ? std::strtod(text, nullptr) : value;
}

Expected<Value> filterRound(Rendering &, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("round", std::move(given), {"precision", "method"}));
  LLMC_TRY(precision, bound.integer(0, 0));
  LLMC_TRY(method, bound.text(1));
  std::string how = method.value_or("common");
  if (!input.isNumber())
    return input.is(Kind::Undefined) ? undefinedError(input) : invalidInput("round: want a number, got " + typeName(input));
  if (precision < -15 || precision > 50)
    return unsupported("round: a precision outside of -15 to 50 is not supported");
  if (how == "common" && input.isInteger() && precision >= 0)
    return Value::of(input.integer());
  if (how == "common" && input.isInteger())
    return Value::of(int64_t(roundTo(input.number(), precision)));
  if (how == "common")
    return Value::of(std::isfinite(input.number()) ? roundTo(input.number(), precision) : input.number());
  if (how != "ceil" && how != "floor")
    return invalidInput("round: method must be common, ceil or floor");
  double unit = std::pow(10.0, double(precision)), scaled = input.number() * unit;
  return Value::of((how == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

// --- any value ---

Expected<Value> filterDefault(Rendering &, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("default", std::move(given), {"default_value", "boolean"}));
  bool replaces = input.is(Kind::Undefined) || (bound.truth(1, false) && !isTrue(input));
  if (!replaces)
    return input;
  return bound.has(0) ? bound.at(0) : Value::of(std::string());
}

Expected<Value> filterAttr(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("attr", std::move(given), {"name"}, 1));
  LLMC_TRY(name, bound.text(0));
  if (input.is(Kind::Undefined))
    return undefinedError(input);
  LLMC_TRY(found, findMethod(rendering, input, name.value_or("")));
  return found ? *found : Value::undefined("'" + typeName(input) + " object' has no attribute " + quote(name.value_or("")));
}

Expected<std::optional<std::string>> jsonIndent(const Value &indent) {
  if (indent.is(Kind::None))
    return std::nullopt;
  if (indent.is(Kind::String))
    return indent.text();
  if (indent.isInteger() && indent.integer() <= (1 << 10))
    return std::string(size_t(std::max<int64_t>(indent.integer(), 0)), ' ');
  return invalidInput("tojson: 'indent': want a text or an integer up to 1024, got " + typeName(indent));
}

Expected<Value> filterToJson(Rendering &rendering, const Value &input, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("tojson", std::move(given), {"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonStyle style;
  style.ascii = bound.truth(0, false);
  style.sortKeys = bound.truth(3, false);
  LLMC_TRY(indent, jsonIndent(bound.at(1)));
  style.indent = indent;
  if (Value separators = bound.at(2); !separators.is(Kind::None)) {
    bool isPair = separators.isSequence() && separators.sequence().items.size() == 2 &&
                  std::ranges::all_of(separators.sequence().items, [](const Value &item) { return item.is(Kind::String); });
    if (!isPair)
      return invalidInput("tojson: 'separators': want two texts");
    style.itemSeparator = separators.sequence().items[0].text();
    style.keySeparator = separators.sequence().items[1].text();
  }
  LLMC_TRY(text, toJson(rendering, input, style));
  return rendering.heap.text(std::move(text));
}

constexpr FilterRow filters[] = {
    {"abs", filterAbs},
    {"attr", filterAttr},
    {"batch", filterBatch},
    {"capitalize", filterCapitalize},
    {"center", filterCenter},
    {"count", filterLength},
    {"d", filterDefault},
    {"default", filterDefault},
    {"dictsort", filterDictSort},
    {"e", filterEscape},
    {"escape", filterEscape},
    {"first", filterFirst},
    {"float", filterFloat},
    {"forceescape", filterForceEscape},
    {"format", filterFormat},
    {"groupby", filterGroupBy},
    {"indent", filterIndent},
    {"int", filterInt},
    {"items", filterItems},
    {"join", filterJoin},
    {"last", filterLast},
    {"length", filterLength},
    {"list", filterList},
    {"lower", filterLower},
    {"map", filterMap},
    {"max", filterMax},
    {"min", filterMin},
    {"reject", filterReject},
    {"rejectattr", filterRejectAttr},
    {"replace", filterReplace},
    {"reverse", filterReverse},
    {"round", filterRound},
    {"safe", filterSafe},
    {"select", filterSelect},
    {"selectattr", filterSelectAttr},
    {"slice", filterSlice},
    {"sort", filterSort},
    {"string", filterString},
    {"sum", filterSum},
    {"title", filterTitle},
    {"tojson", filterToJson},
    {"trim", filterTrim},
    {"truncate", filterTruncate},
    {"unique", filterUnique},
    {"upper", filterUpper},
    {"wordcount", filterWordCount},
};
constexpr std::string_view missing[] = {"filesizeformat", "pprint",   "random",   "striptags",
                                        "urlencode",      "urlize",   "wordwrap", "xmlattr"};

} // namespace

bool isFilter(std::string_view name) {
  return std::ranges::find(filters, name, &FilterRow::name) != std::end(filters) || std::ranges::find(missing, name) != std::end(missing);
}

Expected<Value> applyFilter(Rendering &rendering, const std::string &name, const Value &input, Arguments given) {
  LLMC_CHECK(rendering.budget.step(1 + given.positional.size() + given.keywords.size()));
  auto found = std::ranges::find(filters, std::string_view(name), &FilterRow::name);
  if (found != std::end(filters))
    return found->filter(rendering, input, std::move(given));
  if (isFilter(name))
    return unsupported("the filter '" + name + "' is not supported");
  return invalidInput("no filter is called " + quoteText(name, 40));
}

} // namespace llmc::jinja
