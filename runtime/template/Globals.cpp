#include "runtime/template/Globals.h"

#include "runtime/template/Operators.h"
#include "runtime/template/Parameters.h"
#include "runtime/template/Print.h"

namespace llmc::jinja {
namespace {

constexpr int64_t maxRange = 100000; // the sandbox's

Expected<Value> callRange(Rendering &rendering, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("range", std::move(given), {"start", "stop", "step"}, 1));
  LLMC_TRY(first, bound.integer(0, 0));
  LLMC_TRY(second, bound.integer(1, 0));
  LLMC_TRY(step, bound.integer(2, 1));
  int64_t start = bound.has(1) ? first : 0, stop = bound.has(1) ? second : first;
  if (step == 0)
    return invalidInput("range: the step must not be zero");
  std::vector<Value> items;
  for (__int128 i = start; step > 0 ? i < stop : i > stop; i += step) {
    if (int64_t(items.size()) == maxRange)
      return invalidInput("range: more than " + std::to_string(maxRange) + " numbers");
    items.push_back(Value::of(int64_t(i)));
  }
  return rendering.heap.sequence(Kind::View, std::move(items), "range");
}

// What dict() and namespace() are given: a dictionary or pairs, and keywords.
Expected<void> fill(Rendering &rendering, Dict &dict, Arguments given) {
  if (given.positional.size() > 1)
    return invalidInput("want at most one dictionary, got " + std::to_string(given.positional.size()));
  for (const Value &from : given.positional) {
    if (from.is(Kind::Undefined))
      return undefinedError(from);
    LLMC_TRY(items, iterate(rendering, from));
    for (const Value &item : items) {
      bool isPair = item.isSequence() && item.sequence().items.size() == 2;
      if (!from.is(Kind::Dict) && !isPair)
        return invalidInput("want a dictionary or a list of pairs");
      Value key = from.is(Kind::Dict) ? item : item.sequence().items[0];
      LLMC_CHECK(checkHashable(rendering, key));
      dict.set(key, from.is(Kind::Dict) ? *from.dict().find(item) : item.sequence().items[1]);
    }
  }
  for (auto &[keyword, value] : given.keywords)
    dict.set(Value::of(keyword), std::move(value));
  return rendering.budget.bytes(dict.entries.size() * 2 * sizeof(Value));
}

Expected<Value> callDict(Rendering &rendering, Arguments given) {
  LLMC_TRY(dict, rendering.heap.make<Dict>());
  LLMC_CHECK(fill(rendering, *dict, std::move(given)));
  return Value::object(Kind::Dict, dict);
}

Expected<Value> callNamespace(Rendering &rendering, Arguments given) {
  LLMC_TRY(names, rendering.heap.make<Namespace>());
  LLMC_CHECK(fill(rendering, names->attributes, std::move(given)));
  for (const auto &[key, value] : names->attributes.entries)
    if (key.is(Kind::String) && key.text().starts_with("_"))
      return invalidInput("a namespace's member must not begin with '_': rename '" + key.text() + "'");
  return Value::object(Kind::Namespace, names);
}

Expected<Value> callRaise(Rendering &rendering, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("raise_exception", std::move(given), {"message"}, 1));
  LLMC_TRY(message, toText(rendering, bound.at(0)));
  return invalidInput("the template refuses this conversation: " + message);
}

Expected<Value> callClock(Rendering &rendering, Arguments given) {
  LLMC_TRY(bound, Parameters::bind("strftime_now", std::move(given), {"format"}, 1));
  LLMC_TRY(format, bound.text(0));
  if (!rendering.clock)
    return unsupported("strftime_now: there is no clock here");
  LLMC_TRY(text, rendering.clock(format.value_or("")));
  return rendering.heap.text(std::move(text));
}

using Global = Expected<Value> (*)(Rendering &, Arguments);
struct GlobalRow {
  const char *name;
  Global call;
};
constexpr GlobalRow globals[] = {
    {"dict", callDict},
    {"namespace", callNamespace},
    {"raise_exception", callRaise},
    {"range", callRange},
    {"strftime_now", callClock},
};

} // namespace

Expected<std::vector<std::pair<std::string, Value>>> makeGlobals(Rendering &rendering) {
  std::vector<std::pair<std::string, Value>> made;
  for (const GlobalRow &row : globals) {
    Global call = row.call;
    LLMC_TRY(function, rendering.heap.function(row.name, [&rendering, call](Arguments given) { return call(rendering, std::move(given)); }));
    made.emplace_back(row.name, function);
  }
  for (std::string name : {"cycler", "joiner", "lipsum"}) {
    LLMC_TRY(function, rendering.heap.function(name, [name](Arguments) -> Expected<Value> {
      return unsupported("the function '" + name + "' is not supported");
    }));
    made.emplace_back(name, function);
  }
  return made;
}

} // namespace llmc::jinja
