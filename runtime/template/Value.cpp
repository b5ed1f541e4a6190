#include "runtime/template/Value.h"

#include "runtime/template/PythonText.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace llmc::jinja {
namespace {

constexpr size_t smallDict = 8;
constexpr size_t maxKeyDepth = 8;

// Nobody can choose keys that collide without knowing it.
size_t hashSeed() {
  static const size_t seed = std::random_device()();
  return seed;
}

size_t mixed(size_t hash) {
  hash = (hash ^ hashSeed()) * 0x9e3779b97f4a7c15;
  return hash ^ hash >> 32;
}

// Equal keys hash alike: 1, 1.0 and True are one key.
size_t hashOf(const Value &value) {
  switch (value.kind()) {
  case Kind::Bool:
  case Kind::Int:
    return mixed(size_t(value.integer()));
  case Kind::Float: {
    double number = value.number();
    if (std::trunc(number) == number && std::fabs(number) < 0x1p63)
      return mixed(size_t(int64_t(number)));
    return std::hash<double>()(number);
  }
  case Kind::String:
    return std::hash<std::string>()(value.text());
  case Kind::Tuple: {
    size_t hash = 1;
    for (const Value &item : value.sequence().items)
      hash = hash * 1000003 ^ hashOf(item);
    return hash;
  }
  default:
    return 0;
  }
}

int compareNumbers(const Value &a, const Value &b) {
  if (a.isInteger() && b.isInteger())
    return a.integer() < b.integer() ? -1 : a.integer() > b.integer();
  return a.number() < b.number() ? -1 : a.number() > b.number();
}

// Of keys: they can be hashed, and nest as little as the text that they come from.
bool equalKeys(const Value &a, const Value &b) {
  if (a.isNumber() && b.isNumber())
    return a.isInteger() && b.isInteger() ? a.integer() == b.integer() : a.number() == b.number();
  if (a.kind() != b.kind())
    return false;
  if (a.is(Kind::String))
    return a.text() == b.text();
  if (a.is(Kind::Tuple))
    return std::ranges::equal(a.sequence().items, b.sequence().items, equalKeys);
  return a.is(Kind::None) || a.is(Kind::Undefined) || a.same(b);
}

Expected<bool> equalItems(Rendering &rendering, const std::vector<Value> &a, const std::vector<Value> &b) {
  if (a.size() != b.size())
    return false;
  LLMC_NEST(rendering.budget);
  for (size_t i = 0; i < a.size(); ++i) {
    LLMC_TRY(same, equals(rendering, a[i], b[i]));
    if (!same)
      return false;
  }
  return true;
}

Expected<bool> equalDicts(Rendering &rendering, const Dict &a, const Dict &b) {
  if (a.entries.size() != b.entries.size())
    return false;
  LLMC_NEST(rendering.budget);
  for (const auto &[key, value] : a.entries) {
    const Value *other = b.find(key);
    if (!other)
      return false;
    LLMC_TRY(same, equals(rendering, value, *other));
    if (!same)
      return false;
  }
  return true;
}

Expected<bool> isLessSequence(Rendering &rendering, const std::vector<Value> &a, const std::vector<Value> &b) {
  LLMC_NEST(rendering.budget);
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    LLMC_TRY(same, equals(rendering, a[i], b[i]));
    if (!same)
      return isLess(rendering, a[i], b[i]);
  }
  return a.size() < b.size();
}

Expected<void> checkKey(Rendering &rendering, const Value &value, size_t depth) {
  LLMC_CHECK(rendering.budget.step(value.is(Kind::String) ? 1 + value.text().size() / 64 : 4));
  if (value.is(Kind::List) || value.is(Kind::Dict))
    return invalidInput("unhashable type: '" + typeName(value) + "'");
  if (!value.is(Kind::Tuple))
    return {};
  if (depth == maxKeyDepth)
    return invalidInput("want a key of at most " + std::to_string(maxKeyDepth) + " tuples within one another");
  for (const Value &item : value.sequence().items)
    LLMC_CHECK(checkKey(rendering, item, depth + 1));
  return {};
}

Expected<std::vector<Value>> characters(Rendering &rendering, const std::string &text) {
  LLMC_CHECK(rendering.budget.bytes(text.size() * sizeof(Value)));
  std::vector<Value> items;
  for (std::string_view character : CodePoints(text))
    items.push_back(Value::of(std::string(character)));
  return items;
}

Expected<std::vector<Value>> keysOf(Rendering &rendering, const Dict &dict) {
  LLMC_CHECK(rendering.budget.bytes(dict.entries.size() * sizeof(Value)));
  std::vector<Value> keys;
  for (const auto &[key, value] : dict.entries)
    keys.push_back(key);
  return keys;
}

} // namespace

Sequence &Value::sequence() const { return static_cast<Sequence &>(*object()); }
Dict &Value::dict() const { return static_cast<Dict &>(*object()); }
Namespace &Value::names() const { return static_cast<Namespace &>(*object()); }
Function &Value::function() const { return static_cast<Function &>(*object()); }

std::optional<size_t> Dict::indexOf(const Value &key) const {
  if (entries.size() <= smallDict) {
    for (size_t i = 0; i < entries.size(); ++i)
      if (equalKeys(entries[i].first, key))
        return i;
    return std::nullopt;
  }
  auto [first, last] = index.equal_range(hashOf(key));
  for (; first != last; ++first)
    if (equalKeys(entries[first->second].first, key))
      return first->second;
  return std::nullopt;
}

const Value *Dict::find(const Value &key) const {
  auto at = indexOf(key);
  return at ? &entries[*at].second : nullptr;
}

const Value *Dict::find(std::string_view key) const { return find(Value::of(std::string(key))); }

void Dict::set(const Value &key, Value value) {
  if (auto at = indexOf(key)) {
    entries[*at].second = std::move(value);
    return;
  }
  entries.emplace_back(key, std::move(value));
  if (entries.size() == smallDict + 1)
    for (size_t i = 0; i < smallDict; ++i)
      index.emplace(hashOf(entries[i].first), i);
  if (entries.size() > smallDict)
    index.emplace(hashOf(key), entries.size() - 1);
}

Expected<Value> Heap::sequence(Kind kind, std::vector<Value> items, std::string_view type) {
  LLMC_CHECK(budget.bytes(items.size() * sizeof(Value)));
  LLMC_TRY(made, make<Sequence>());
  made->items = std::move(items);
  made->type = type;
  return Value::object(kind, made);
}

Expected<Value> Heap::function(std::string name, std::function<Expected<Value>(Arguments)> call) {
  LLMC_TRY(made, make<Function>());
  made->name = std::move(name);
  made->call = std::move(call);
  return Value::object(Kind::Function, made);
}

Expected<Value> Heap::text(std::string text, bool safe) {
  LLMC_CHECK(budget.bytes(text.size()));
  return Value::of(std::move(text), safe);
}

std::string typeName(const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined: return "Undefined";
  case Kind::None: return "NoneType";
  case Kind::Bool: return "bool";
  case Kind::Int: return "int";
  case Kind::Float: return "float";
  case Kind::String: return value.isSafe() ? "Markup" : "str";
  case Kind::List: return "list";
  case Kind::Tuple: return "tuple";
  case Kind::Dict: return "dict";
  case Kind::View:
  case Kind::Generator: return std::string(value.sequence().type);
  case Kind::Namespace: return "Namespace";
  case Kind::Function: return std::string(value.function().type);
  case Kind::Loop: return "LoopContext";
  }
  return "";
}

bool isTrue(const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined:
  case Kind::None: return false;
  case Kind::Bool: return value.boolean();
  case Kind::Int: return value.integer() != 0;
  case Kind::Float: return value.number() != 0;
  case Kind::String: return !value.text().empty();
  case Kind::List:
  case Kind::Tuple:
  case Kind::View: return !value.sequence().items.empty();
  case Kind::Dict: return !value.dict().entries.empty();
  default: return true;
  }
}

Expected<void> checkHashable(Rendering &rendering, const Value &value) { return checkKey(rendering, value, 0); }

Expected<bool> equals(Rendering &rendering, const Value &a, const Value &b) {
  LLMC_CHECK(rendering.budget.step());
  if (a.isNumber() && b.isNumber())
    return equalKeys(a, b);
  if (a.kind() != b.kind())
    return false;
  switch (a.kind()) {
  case Kind::String:
    LLMC_CHECK(rendering.budget.step(std::min(a.text().size(), b.text().size()) / 64));
    return a.text() == b.text();
  case Kind::List:
  case Kind::Tuple:
    return equalItems(rendering, a.sequence().items, b.sequence().items);
  case Kind::Dict:
    return equalDicts(rendering, a.dict(), b.dict());
  case Kind::None:
  case Kind::Undefined:
    return true;
  default:
    return a.same(b);
  }
}

Expected<bool> isLess(Rendering &rendering, const Value &a, const Value &b) {
  LLMC_CHECK(rendering.budget.step());
  if (a.isNumber() && b.isNumber())
    return compareNumbers(a, b) < 0;
  if (a.is(Kind::String) && b.is(Kind::String)) {
    LLMC_CHECK(rendering.budget.step(std::min(a.text().size(), b.text().size()) / 64));
    return a.text() < b.text(); // bytes of UTF-8 are in the order of code points
  }
  if (a.isSequence() && a.kind() == b.kind())
    return isLessSequence(rendering, a.sequence().items, b.sequence().items);
  for (const Value *side : {&a, &b})
    if (side->is(Kind::Undefined))
      return undefinedError(*side);
  return invalidInput("'" + typeName(a) + "' and '" + typeName(b) + "' have no order");
}

std::unexpected<Error> undefinedError(const Value &value) { return invalidInput(value.why()); }

Expected<std::vector<Value>> iterate(Rendering &rendering, const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined:
    return std::vector<Value>();
  case Kind::String:
    return characters(rendering, value.text());
  case Kind::Dict:
    return keysOf(rendering, value.dict());
  case Kind::List:
  case Kind::Tuple:
  case Kind::View: {
    LLMC_CHECK(rendering.budget.bytes(value.sequence().items.size() * sizeof(Value)));
    return value.sequence().items;
  }
  case Kind::Generator: {
    Sequence &sequence = value.sequence();
    std::vector<Value> rest(sequence.items.begin() + std::ptrdiff_t(sequence.taken), sequence.items.end());
    sequence.taken = sequence.items.size();
    return rest;
  }
  default:
    return invalidInput("'" + typeName(value) + "' object is not iterable");
  }
}

Expected<int64_t> lengthOf(Rendering &rendering, const Value &value) {
  switch (value.kind()) {
  case Kind::Undefined:
    return 0;
  case Kind::String:
    LLMC_CHECK(rendering.budget.step(value.text().size() / 64));
    return int64_t(countCodePoints(value.text()));
  case Kind::Dict:
    return int64_t(value.dict().entries.size());
  case Kind::List:
  case Kind::Tuple:
  case Kind::View:
    return int64_t(value.sequence().items.size());
  default:
    return invalidInput("object of type '" + typeName(value) + "' has no len()");
  }
}

Expected<bool> contains(Rendering &rendering, const Value &container, const Value &item) {
  if (container.is(Kind::String)) {
    if (item.is(Kind::String)) {
      LLMC_CHECK(rendering.budget.step(container.text().size() / 64));
      return container.text().find(item.text()) != std::string::npos;
    }
    return item.is(Kind::Undefined) ? Expected<bool>(undefinedError(item))
                                    : invalidInput("'in <string>' requires string as left operand, not " + typeName(item));
  }
  if (container.is(Kind::Dict)) {
    LLMC_CHECK(checkHashable(rendering, item));
    return container.dict().find(item) != nullptr;
  }
  LLMC_TRY(items, iterate(rendering, container));
  for (const Value &candidate : items) {
    LLMC_TRY(same, equals(rendering, candidate, item));
    if (same)
      return true;
  }
  return false;
}

} // namespace llmc::jinja
