#include "runtime/template/Print.h"

#include "runtime/template/PythonText.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace llmc::jinja {
namespace {

class ReprPrinter {
public:
  explicit ReprPrinter(Rendering &rendering) : rendering(rendering) {}

  Expected<void> print(const Value &value) {
    LLMC_CHECK(rendering.budget.step());
    switch (value.kind()) {
    case Kind::Undefined: return put("Undefined");
    case Kind::None: return put("None");
    case Kind::Bool: return put(value.boolean() ? "True" : "False");
    case Kind::Int: return put(std::to_string(value.integer()));
    case Kind::Float: return put(formatFloat(value.number()));
    case Kind::String: return put(value.isSafe() ? "Markup(" + quote(value.text()) + ")" : quote(value.text()));
    case Kind::List: return printItems("[", value.sequence().items, "]");
    case Kind::Tuple: return printItems("(", value.sequence().items, value.sequence().items.size() == 1 ? ",)" : ")");
    case Kind::Dict: return printDict(value.dict());
    case Kind::View: return printView(value.sequence());
    case Kind::Namespace: return printNamespace(value.names());
    default: return printOther(value);
    }
  }
  std::string take() { return std::move(out); }

private:
  Expected<void> put(std::string_view text) {
    out += text;
    return rendering.budget.bytes(text.size());
  }

  Expected<void> printItems(std::string_view open, const std::vector<Value> &items, std::string_view close) {
    LLMC_NEST(rendering.budget);
    LLMC_CHECK(put(open));
    for (size_t i = 0; i < items.size(); ++i) {
      if (i)
        LLMC_CHECK(put(", "));
      LLMC_CHECK(print(items[i]));
    }
    return put(close);
  }

  Expected<void> printDict(const Dict &dict) {
    LLMC_NEST(rendering.budget);
    LLMC_CHECK(put("{"));
    bool first = true;
    for (const auto &[key, value] : dict.entries) {
      LLMC_CHECK(put(first ? "" : ", "));
      first = false;
      LLMC_CHECK(print(key));
      LLMC_CHECK(put(": "));
      LLMC_CHECK(print(value));
    }
    return put("}");
  }

  Expected<void> printView(const Sequence &view) {
    if (view.type == "range")
      return printRange(view);
    LLMC_CHECK(put(view.type));
    return printItems("([", view.items, "])");
  }

  // The numbers themselves do not say where a range of several steps ends; the smallest end that gives them does.
  Expected<void> printRange(const Sequence &range) {
    int64_t start = range.items.empty() ? 0 : range.items.front().integer();
    int64_t step = range.items.size() > 1 ? range.items[1].integer() - start : 1;
    int64_t end = range.items.empty() ? 0 : range.items.back().integer() + (step > 0 ? 1 : -1);
    return put("range(" + std::to_string(start) + ", " + std::to_string(end) + (step == 1 ? ")" : ", " + std::to_string(step) + ")"));
  }

  Expected<void> printNamespace(const Namespace &names) {
    LLMC_CHECK(put("<Namespace "));
    LLMC_CHECK(printDict(names.attributes));
    return put(">");
  }

  Expected<void> printOther(const Value &value) {
    if (value.is(Kind::Function) && value.function().type == "Macro")
      return put("<Macro " + quote(value.function().name) + ">");
    if (value.is(Kind::Generator))
      return invalidInput("a generator has no text: use '| list' or '| join' on it");
    return invalidInput("a " + typeName(value) + " has no text: call it with ()");
  }

  Rendering &rendering;
  std::string out;
};

class JsonPrinter {
public:
  JsonPrinter(Rendering &rendering, const JsonStyle &style) : rendering(rendering), style(style) {
    itemSeparator = style.itemSeparator.value_or(style.indent ? "," : ", ");
    keySeparator = style.keySeparator.value_or(": ");
  }

  Expected<void> print(const Value &value) {
    LLMC_CHECK(rendering.budget.step());
    switch (value.kind()) {
    case Kind::None: return put("null");
    case Kind::Bool: return put(value.boolean() ? "true" : "false");
    case Kind::Int: return put(std::to_string(value.integer()));
    case Kind::Float: return put(number(value.number()));
    case Kind::String: return putText(value.text());
    case Kind::List:
    case Kind::Tuple: return printList(value.sequence().items);
    case Kind::Dict: return printDict(value.dict());
    default: return invalidInput("Object of type " + typeName(value) + " is not JSON serializable" +
                                 (value.is(Kind::Undefined) ? ": " + value.why() : ""));
    }
  }
  std::string take() { return std::move(out); }

private:
  Expected<void> put(std::string_view text) {
    out += text;
    return rendering.budget.bytes(text.size());
  }

  static std::string number(double value) {
    if (std::isnan(value))
      return "NaN";
    if (std::isinf(value))
      return value < 0 ? "-Infinity" : "Infinity";
    return formatFloat(value);
  }

  Expected<void> putText(std::string_view text) {
    std::string quoted = "\"";
    for (std::string_view character : CodePoints(text))
      appendEscaped(quoted, character);
    return put(quoted + '"');
  }

  void appendEscaped(std::string &quoted, std::string_view character) const {
    static constexpr std::string_view plain = "\"\\\n\r\t\f\b", letters = "\"\\nrtfb";
    if (size_t at = plain.find(character); at != plain.npos) {
      (quoted += '\\') += letters[at];
      return;
    }
    uint32_t c = decodeFirst(character).codePoint;
    if (c >= 0x20 && (!style.ascii || (c < 0x7f))) {
      quoted += character;
    } else if (c >= 0x10000) {
      appendUnit(quoted, 0xd800 + ((c - 0x10000) >> 10));
      appendUnit(quoted, 0xdc00 + ((c - 0x10000) & 0x3ff));
    } else {
      appendUnit(quoted, c);
    }
  }

  static void appendUnit(std::string &quoted, uint32_t unit) {
    char text[8];
    std::snprintf(text, sizeof text, "\\u%04x", unit);
    quoted += text;
  }

  Expected<void> newLine(size_t depth) {
    if (!style.indent)
      return {};
    LLMC_CHECK(put("\n"));
    for (size_t i = 0; i < depth; ++i)
      LLMC_CHECK(put(*style.indent));
    return {};
  }

  // `printOne(i)` for each of `count` items.
  template <class PrintOne> Expected<void> printMany(std::string_view open, size_t count, std::string_view close, PrintOne printOne) {
    LLMC_NEST(rendering.budget);
    LLMC_CHECK(put(open));
    ++depth;
    for (size_t i = 0; i < count; ++i) {
      if (i)
        LLMC_CHECK(put(itemSeparator));
      LLMC_CHECK(newLine(depth));
      LLMC_CHECK(printOne(i));
    }
    --depth;
    if (count)
      LLMC_CHECK(newLine(depth));
    return put(close);
  }

  Expected<void> printList(const std::vector<Value> &items) {
    return printMany("[", items.size(), "]", [&](size_t i) { return print(items[i]); });
  }

  Expected<void> printDict(const Dict &dict) {
    std::vector<std::pair<Value, Value>> entries = dict.entries;
    if (style.sortKeys)
      LLMC_CHECK(sortEntries(entries));
    return printMany("{", entries.size(), "}", [&](size_t i) -> Expected<void> {
      LLMC_TRY(key, keyText(entries[i].first));
      LLMC_CHECK(putText(key));
      LLMC_CHECK(put(keySeparator));
      return print(entries[i].second);
    });
  }

  Expected<void> sortEntries(std::vector<std::pair<Value, Value>> &entries) {
    for (const auto &[key, value] : entries)
      if (key.kind() != entries[0].first.kind() || !(key.is(Kind::String) || key.is(Kind::Int)))
        return invalidInput("sort_keys: want keys that are all str, or all int");
    std::ranges::sort(entries, [&](const auto &a, const auto &b) { return isLess(rendering, a.first, b.first).value_or(false); });
    return {};
  }

  Expected<std::string> keyText(const Value &key) const {
    switch (key.kind()) {
    case Kind::String: return key.text();
    case Kind::None: return "null";
    case Kind::Bool: return key.boolean() ? "true" : "false";
    case Kind::Int: return std::to_string(key.integer());
    case Kind::Float: return number(key.number());
    default: return invalidInput("keys must be str, int, float, bool or None, not " + typeName(key));
    }
  }

  Rendering &rendering;
  const JsonStyle &style;
  std::string itemSeparator, keySeparator, out;
  size_t depth = 0;
};

} // namespace

Expected<std::string> toText(Rendering &rendering, const Value &value) {
  if (value.is(Kind::String)) {
    LLMC_CHECK(rendering.budget.step(value.text().size() / 64));
    return value.text();
  }
  if (value.is(Kind::Undefined))
    return std::string();
  return toRepr(rendering, value);
}

Expected<std::string> toRepr(Rendering &rendering, const Value &value) {
  ReprPrinter printer(rendering);
  LLMC_CHECK(printer.print(value));
  return printer.take();
}

Expected<std::string> toJson(Rendering &rendering, const Value &value, const JsonStyle &style) {
  JsonPrinter printer(rendering, style);
  LLMC_CHECK(printer.print(value));
  return printer.take();
}

} // namespace llmc::jinja
