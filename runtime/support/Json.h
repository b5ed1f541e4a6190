// The one door for JSON in the runtime: strict, bounded, and without exceptions.
//
//   LLMC_TRY(config, parseJson(text, "config.json"));
//   std::optional<int64_t> heads = jsonInt(config, "num_attention_heads");
//
// Text is untrusted: nesting is limited, duplicate keys are refused, strings must be UTF-8, and the memory of a parsed
// document is bounded by a multiple of the text's length. Every error is one line: what, line, column, reason.
// Never call nlohmann's `at`, `get` or `operator[]` on values from a file: they throw or assert. Use the getters below.
#pragma once

#include "runtime/support/Error.h"
#include "runtime/support/Text.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>

namespace llmc {

using Json = nlohmann::json;

struct JsonLimits {
  size_t maxDepth = 128;             // nested arrays and objects
  size_t maxBytes = size_t(1) << 28; // of text
  // Bytes that the values may take: `memoryFactor` times the text plus `memoryBase`.
  size_t memoryFactor = 12;
  size_t memoryBase = size_t(48) << 20;
};

// Parses one JSON document. `what` names it in errors ("config.json"). Integers beyond int64 become floats.
// Errors: InvalidInput.
Expected<Json> parseJson(std::string_view text, std::string_view what);
Expected<Json> parseJson(std::string_view text, std::string_view what, const JsonLimits &limits);

// Receives the events of one document in order, so that large tables are read without building a tree. A callback
// returns false, after `fail`, to stop. Strings may be moved from.
class JsonHandler {
public:
  virtual ~JsonHandler() = default;
  virtual bool onNull() = 0;
  virtual bool onBool(bool value) = 0;
  virtual bool onInt(int64_t value) = 0;
  virtual bool onFloat(double value) = 0; // also integers beyond int64
  virtual bool onString(std::string &value) = 0;
  virtual bool onObjectBegin() = 0;
  virtual bool onKey(std::string &key) = 0;
  virtual bool onObjectEnd() = 0;
  virtual bool onArrayBegin() = 0;
  virtual bool onArrayEnd() = 0;

  // Records the reason; line and column are added by scanJson. Returns false.
  bool fail(std::string reason);
  const std::string &reason() const { return failure; }

private:
  std::string failure;
};

// Runs `handler` over one document. Same checks as parseJson but for the memory, which is the handler's affair.
// Duplicate keys are reported when their object ends, after the handler has seen them.
Expected<void> scanJson(std::string_view text, std::string_view what, JsonHandler &handler,
                        const JsonLimits &limits = {});

// Getters that never throw. With a key: of the member of an object; null or nullopt if `value` is no object, the member
// is absent or null, or it has another kind. Integers also come from floats that are whole ("1e5"); floats from
// integers. Views and pointers live as long as the document.
const Json *jsonMember(const Json &value, std::string_view key);
std::optional<int64_t> jsonInt(const Json &value);
std::optional<double> jsonFloat(const Json &value);
std::optional<bool> jsonBool(const Json &value);
std::optional<std::string_view> jsonString(const Json &value);
std::optional<int64_t> jsonInt(const Json &value, std::string_view key);
std::optional<double> jsonFloat(const Json &value, std::string_view key);
std::optional<bool> jsonBool(const Json &value, std::string_view key);
std::optional<std::string_view> jsonString(const Json &value, std::string_view key);

} // namespace llmc
