#include "runtime/support/Json.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

namespace llmc {
namespace {

// Walks the text and publishes how far the parser has come, so that our own errors carry a position too.
struct TrackedIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char *;
  using reference = const char &;

  const char *at = nullptr;
  const char **published = nullptr;

  reference operator*() const { return *at; }
  TrackedIterator &operator++() {
    *published = ++at;
    return *this;
  }
  TrackedIterator operator++(int) {
    TrackedIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const TrackedIterator &other) const { return at == other.at; }
  bool operator!=(const TrackedIterator &other) const { return at != other.at; }
};

// "line 3, column 7" of the last byte that was read.
std::string describePosition(std::string_view text, size_t bytesRead) {
  std::string_view before = text.substr(0, std::min(bytesRead, text.size()));
  if (!before.empty())
    before.remove_suffix(1);
  size_t line = 1 + std::count(before.begin(), before.end(), '\n');
  size_t lineStart = before.rfind('\n');
  size_t column = lineStart == std::string_view::npos ? before.size() + 1 : before.size() - lineStart;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

// nlohmann says "[json.exception.…] parse error at line 1, column 2: REASON; last read: '…'"; we want REASON.
std::string reasonOf(std::string_view message) {
  if (size_t tag = message.find("] "); tag != std::string_view::npos)
    message.remove_prefix(tag + 2);
  if (message.starts_with("parse error"))
    if (size_t colon = message.find(": "); colon != std::string_view::npos)
      message.remove_prefix(colon + 2);
  if (size_t last = message.find("; last read"); last != std::string_view::npos)
    message = message.substr(0, last);
  return std::string(message.substr(0, 160));
}

// Between nlohmann's events and a JsonHandler: depth, duplicate keys, positions.
class Scanner {
public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  Scanner(std::string_view text, JsonHandler &handler, const JsonLimits &limits)
      : text(text), handler(handler), limits(limits), position(text.data()) {}

  bool null() { return handler.onNull(); }
  bool boolean(bool value) { return handler.onBool(value); }
  bool number_integer(number_integer_t value) { return handler.onInt(value); }
  bool number_unsigned(number_unsigned_t value) {
    if (value > uint64_t(INT64_MAX))
      return handler.onFloat(double(value));
    return handler.onInt(int64_t(value));
  }
  bool number_float(number_float_t value, const string_t &) { return handler.onFloat(value); }
  bool string(string_t &value) { return handler.onString(value); }
  bool binary(binary_t &) { return false; }
  bool start_object(size_t) {
    if (!enter())
      return false;
    if (objectDepth == keysOfObject.size())
      keysOfObject.emplace_back();
    ++objectDepth;
    return handler.onObjectBegin();
  }
  bool key(string_t &name) {
    keysOfObject[objectDepth - 1].push_back({std::hash<std::string>()(name), bytesRead()});
    return handler.onKey(name);
  }
  bool end_object() {
    --depth;
    --objectDepth;
    return refuseDuplicates(keysOfObject[objectDepth]) && handler.onObjectEnd();
  }
  bool start_array(size_t) { return enter() && handler.onArrayBegin(); }
  bool end_array() {
    --depth;
    return handler.onArrayEnd();
  }
  bool parse_error(size_t, const std::string &, const nlohmann::detail::exception &error) {
    return handler.fail(reasonOf(error.what()));
  }

  size_t bytesRead() const { return errorAt ? errorAt : size_t(position - text.data()); }
  const char **positionSink() { return &position; }

private:
  struct SeenKey {
    uint64_t hash;
    size_t endsAt; // offset behind the key's closing quote
    auto operator<=>(const SeenKey &) const = default;
  };

  bool enter() {
    if (depth == limits.maxDepth)
      return handler.fail("nested deeper than " + std::to_string(limits.maxDepth) + " levels");
    ++depth;
    return true;
  }

  // Equal 64-bit hashes count as equal keys: by chance that happens once in 10^8 files of a million keys.
  bool refuseDuplicates(std::vector<SeenKey> &seen) {
    std::sort(seen.begin(), seen.end());
    auto twin = std::adjacent_find(seen.begin(), seen.end(),
                                   [](const SeenKey &a, const SeenKey &b) { return a.hash == b.hash; });
    if (twin != seen.end()) {
      errorAt = std::next(twin)->endsAt;
      return handler.fail("duplicate key " + quoteText(keyEndingAt(errorAt)));
    }
    // Kept for the next object at this depth, but a huge table is not held while many small ones follow.
    if (seen.capacity() > 4096)
      std::vector<SeenKey>().swap(seen);
    seen.clear();
    return true;
  }

  // The raw text of a key, found backwards from its closing quote.
  std::string_view keyEndingAt(size_t end) const {
    size_t close = end - 1, open = close;
    while (open > 0) {
      --open;
      size_t escapes = 0;
      while (open > escapes && text[open - 1 - escapes] == '\\')
        ++escapes;
      if (text[open] == '"' && escapes % 2 == 0)
        break;
    }
    return text.substr(open + 1, close - open - 1);
  }

  std::string_view text;
  JsonHandler &handler;
  const JsonLimits &limits;
  const char *position;
  size_t errorAt = 0;
  size_t depth = 0;
  size_t objectDepth = 0;
  std::vector<std::vector<SeenKey>> keysOfObject;
};

// Builds the tree, charging an upper estimate of the heap for each value.
class TreeBuilder final : public JsonHandler {
public:
  TreeBuilder(size_t textBytes, const JsonLimits &limits)
      : budget(textBytes * limits.memoryFactor + limits.memoryBase) {}

  Json take() { return std::move(root); }

  bool onNull() override { return add(nullptr, 0); }
  bool onBool(bool value) override { return add(value, 0); }
  bool onInt(int64_t value) override { return add(value, 0); }
  bool onFloat(double value) override { return add(value, 0); }
  bool onString(std::string &value) override {
    size_t bytes = sizeof(std::string) + heapBytes(value) + allocationBytes;
    value.shrink_to_fit(); // the parser's buffer may be far larger than this string
    return add(std::move(value), bytes);
  }
  bool onObjectBegin() override { return open(Json::object(), sizeof(Json::object_t) + allocationBytes); }
  bool onKey(std::string &name) override {
    pendingKey = name;
    return charge(96 + heapBytes(name)); // a node of std::map
  }
  bool onObjectEnd() override { return close(); }
  bool onArrayBegin() override { return open(Json::array(), sizeof(Json::array_t) + allocationBytes); }
  bool onArrayEnd() override { return close(); }

private:
  static constexpr size_t allocationBytes = 16;

  static size_t heapBytes(const std::string &text) { return text.size() < 16 ? 0 : text.size() + allocationBytes; }

  bool charge(size_t bytes) {
    if (bytes > budget)
      return fail("too many values for a text of this length");
    budget -= bytes;
    return true;
  }

  Json *place(Json value) {
    if (stack.empty()) {
      root = std::move(value);
      return &root;
    }
    Json &parent = *stack.back();
    if (parent.is_object())
      return &(*parent.get_ptr<Json::object_t *>())[std::move(pendingKey)].operator=(std::move(value));
    auto &items = *parent.get_ptr<Json::array_t *>();
    items.push_back(std::move(value));
    return &items.back();
  }

  // An array's slot is charged double: growing holds the old and the new copy at once.
  bool add(Json value, size_t bytes) {
    if (!charge(bytes + 2 * sizeof(Json)))
      return false;
    place(std::move(value));
    return true;
  }

  // A pointer into an array stays valid while its child is open: nothing is appended to the parent meanwhile.
  bool open(Json value, size_t bytes) {
    if (!charge(bytes + 2 * sizeof(Json)))
      return false;
    stack.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    stack.pop_back();
    return true;
  }

  Json root;
  std::vector<Json *> stack;
  std::string pendingKey;
  size_t budget;
};

std::string errorLine(std::string_view what, std::string_view text, size_t bytesRead, const std::string &reason) {
  return std::string(what) + ": " + describePosition(text, bytesRead) + ": " + reason;
}

template <class T>
std::optional<T> getMember(const Json &value, std::string_view key, std::optional<T> (*convert)(const Json &)) {
  const Json *member = jsonMember(value, key);
  return member ? convert(*member) : std::nullopt;
}

} // namespace

bool JsonHandler::fail(std::string reason) {
  failure = std::move(reason);
  return false;
}

Expected<void> scanJson(std::string_view text, std::string_view what, JsonHandler &handler, const JsonLimits &limits) {
  if (text.size() > limits.maxBytes)
    return invalidInput(std::string(what) + ": want at most " + std::to_string(limits.maxBytes) +
                        " bytes of JSON, got " + std::to_string(text.size()));
  if (text.empty())
    return invalidInput(std::string(what) + ": want JSON, got an empty text");
  Scanner scanner(text, handler, limits);
  try {
    TrackedIterator first{text.data(), scanner.positionSink()};
    TrackedIterator last{text.data() + text.size(), scanner.positionSink()};
    if (Json::sax_parse(first, last, &scanner))
      return {};
  } catch (const std::exception &error) {
    handler.fail(reasonOf(error.what()));
  }
  return invalidInput(errorLine(what, text, scanner.bytesRead(), handler.reason()));
}

Expected<Json> parseJson(std::string_view text, std::string_view what) { return parseJson(text, what, JsonLimits()); }

Expected<Json> parseJson(std::string_view text, std::string_view what, const JsonLimits &limits) {
  TreeBuilder builder(std::min(text.size(), limits.maxBytes), limits);
  LLMC_CHECK(scanJson(text, what, builder, limits));
  return builder.take();
}

const Json *jsonMember(const Json &value, std::string_view key) {
  auto *object = value.get_ptr<const Json::object_t *>();
  if (!object)
    return nullptr;
  auto found = object->find(key);
  return found == object->end() || found->second.is_null() ? nullptr : &found->second;
}

std::optional<int64_t> jsonInt(const Json &value) {
  if (auto *integer = value.get_ptr<const int64_t *>())
    return *integer;
  auto *real = value.get_ptr<const double *>();
  if (real && std::trunc(*real) == *real && std::fabs(*real) < 0x1p63)
    return int64_t(*real);
  return std::nullopt;
}

std::optional<double> jsonFloat(const Json &value) {
  if (auto *real = value.get_ptr<const double *>())
    return *real;
  if (auto *integer = value.get_ptr<const int64_t *>())
    return double(*integer);
  return std::nullopt;
}

std::optional<bool> jsonBool(const Json &value) {
  auto *boolean = value.get_ptr<const bool *>();
  return boolean ? std::optional(*boolean) : std::nullopt;
}

std::optional<std::string_view> jsonString(const Json &value) {
  auto *text = value.get_ptr<const std::string *>();
  return text ? std::optional<std::string_view>(*text) : std::nullopt;
}

std::optional<int64_t> jsonInt(const Json &value, std::string_view key) { return getMember(value, key, jsonInt); }
std::optional<double> jsonFloat(const Json &value, std::string_view key) { return getMember(value, key, jsonFloat); }
std::optional<bool> jsonBool(const Json &value, std::string_view key) { return getMember(value, key, jsonBool); }
std::optional<std::string_view> jsonString(const Json &value, std::string_view key) {
  return getMember(value, key, jsonString);
}

} // namespace llmc
