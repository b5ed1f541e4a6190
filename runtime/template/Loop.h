// `loop` within a for: where it is, and what comes next. Items are taken, and a filter is asked, only when they are needed.
#pragma once

#include "runtime/template/Syntax.h"

namespace llmc::jinja {

struct Scope;

struct LoopState : AttributeOwner {
  const For *node = nullptr;
  Scope *outer = nullptr; // around the loop
  int64_t depth = 0;      // of recursive loops, from 0
  std::vector<Value> items;
  std::function<Expected<bool>(const Value &)> keeps; // the loop's `if`; null: all
  Rendering *rendering = nullptr;

  // The next item, or nothing at the end.
  Expected<std::optional<Value>> advance();
  Expected<std::optional<Value>> attribute(const std::string &name) override;

private:
  Expected<void> fetch();
  Expected<int64_t> length();
  Expected<Value> next();
  Expected<Value> makeCycle();
  Expected<Value> makeChanged();

  size_t taken = 0;             // of items
  std::vector<Value> ahead;     // fetched and kept by the filter, not yet given
  size_t given = 0;             // of ahead
  int64_t index = -1;           // from 0
  Value previous = Value::undefined("there is no previous item"), current;
  std::optional<Value> lastChanged; // a tuple
};

} // namespace llmc::jinja
