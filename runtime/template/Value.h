// What a template computes with: Python's values, as far as chat templates meet them.
//
// Values are small and copied; texts are shared; lists, dictionaries and functions belong to the rendering's Heap, so that
// values which hold one another are freed with it. Nothing but a namespace changes after it was made, as in the reference's
// immutable sandbox.
#pragma once

#include "runtime/template/Budget.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace llmc::jinja {

enum class Kind : uint8_t {
  Undefined, // prints as nothing; most other uses are an error, which its text says
  None,
  Bool,
  Int,
  Float,
  String,
  List,
  Tuple,
  Dict,
  View,      // what dict.items() and range() return: sized, read again and again
  Generator, // what filters like `map` return: read once
  Namespace,
  Function,
  Loop,
};

struct Object {
  virtual ~Object() = default;
};
struct Sequence;
struct Dict;
struct Namespace;
struct Function;

struct Text {
  std::string bytes;
  bool safe = false; // Markup: `+` escapes what it is joined with
};

class Value {
public:
  Value() : tag(Kind::None) {}
  static Value undefined(std::string why) { return {Kind::Undefined, std::make_shared<const Text>(Text{std::move(why)})}; }
  static Value none() { return {}; }
  static Value of(bool value) { return {Kind::Bool, value}; }
  static Value of(int64_t value) { return {Kind::Int, value}; }
  static Value of(double value) { return {Kind::Float, value}; }
  static Value of(std::string text, bool safe = false) {
    return {Kind::String, std::make_shared<const Text>(Text{std::move(text), safe})};
  }
  static Value of(const char *) = delete; // would be a bool
  static Value object(Kind kind, Object *object) { return {kind, object}; }

  Kind kind() const { return tag; }
  bool is(Kind kind) const { return tag == kind; }
  bool isNumber() const { return tag == Kind::Bool || tag == Kind::Int || tag == Kind::Float; }
  bool isInteger() const { return tag == Kind::Bool || tag == Kind::Int; } // as Python's int, of which bool is one
  bool isSequence() const { return tag == Kind::List || tag == Kind::Tuple; }

  bool boolean() const { return std::get<bool>(data); }
  int64_t integer() const { return tag == Kind::Bool ? int64_t(boolean()) : std::get<int64_t>(data); }
  double number() const { return tag == Kind::Float ? std::get<double>(data) : double(integer()); }
  const std::string &text() const { return std::get<std::shared_ptr<const Text>>(data)->bytes; }
  bool isSafe() const { return tag == Kind::String && std::get<std::shared_ptr<const Text>>(data)->safe; }
  const std::string &why() const { return std::get<std::shared_ptr<const Text>>(data)->bytes; } // of Undefined
  Object *object() const { return std::get<Object *>(data); }
  Sequence &sequence() const; // List, Tuple, View, Generator
  Dict &dict() const;
  Namespace &names() const;
  Function &function() const;

  // Python's `is`.
  bool same(const Value &other) const { return tag == other.tag && data == other.data; }

private:
  using Data = std::variant<std::monostate, bool, int64_t, double, std::shared_ptr<const Text>, Object *>;
  Value(Kind kind, Data data) : tag(kind), data(std::move(data)) {}

  Kind tag;
  Data data;
};

struct Sequence : Object {
  std::vector<Value> items;
  std::string_view type; // of views: "dict_items"; of generators: "generator"
  size_t taken = 0;      // of a generator
};

// Insertion order, as Python's.
struct Dict : Object {
  std::vector<std::pair<Value, Value>> entries;

  // The value of a key that can be hashed; null if there is none.
  const Value *find(const Value &key) const;
  const Value *find(std::string_view key) const;
  void set(const Value &key, Value value);

private:
  std::optional<size_t> indexOf(const Value &key) const;
  std::unordered_multimap<size_t, size_t> index; // by hash; filled beyond a few entries
};

struct Namespace : Object {
  Dict attributes;
};

// `loop`: its members are computed.
struct AttributeOwner : Object {
  virtual Expected<std::optional<Value>> attribute(const std::string &name) = 0;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

struct Function : Object {
  std::string name;
  std::function<Expected<Value>(Arguments)> call;
  std::string_view type = "builtin_function_or_method"; // "Macro"
};

// Owns what one rendering makes.
class Heap {
public:
  explicit Heap(Budget &budget) : budget(budget) {}

  template <class T> Expected<T *> make() {
    LLMC_CHECK(budget.bytes(sizeof(T) + 48));
    auto made = std::make_unique<T>();
    T *raw = made.get();
    objects.push_back(std::move(made));
    return raw;
  }
  // `kind`: one that is a Sequence.
  Expected<Value> sequence(Kind kind, std::vector<Value> items, std::string_view type = {});
  Expected<Value> tuple(std::vector<Value> items) { return sequence(Kind::Tuple, std::move(items)); }
  Expected<Value> list(std::vector<Value> items) { return sequence(Kind::List, std::move(items)); }
  Expected<Value> function(std::string name, std::function<Expected<Value>(Arguments)> call);
  // Charges the budget.
  Expected<Value> text(std::string text, bool safe = false);

private:
  Budget &budget;
  std::vector<std::unique_ptr<Object>> objects;
};

// One rendering's state, shared by all that works in it.
struct Rendering {
  explicit Rendering(const Limits &limits) : budget(limits), heap(budget) {}
  Budget budget;
  Heap heap;
  std::function<Expected<std::string>(const std::string &format)> clock; // strftime of now
};

// "str", "list", "dict": Python's name of the type.
std::string typeName(const Value &value);
bool isTrue(const Value &value);
// Whether Python could use it as a key. Charges what finding it will take, which has no budget.
Expected<void> checkHashable(Rendering &rendering, const Value &value);
// Python's ==.
Expected<bool> equals(Rendering &rendering, const Value &a, const Value &b);
// Python's a < b. Errors: kinds that have no order.
Expected<bool> isLess(Rendering &rendering, const Value &a, const Value &b);
// The error that any use of it but printing is.
std::unexpected<Error> undefinedError(const Value &value);
// The items that a `for` goes over; a generator has none afterwards. Errors: what can't be iterated.
Expected<std::vector<Value>> iterate(Rendering &rendering, const Value &value);
// Python's len().
Expected<int64_t> lengthOf(Rendering &rendering, const Value &value);
// Python's `item in container`.
Expected<bool> contains(Rendering &rendering, const Value &container, const Value &item);

} // namespace llmc::jinja
