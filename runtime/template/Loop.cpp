#include "runtime/template/Loop.h"

namespace llmc::jinja {

// One more item that the filter keeps, if there is one.
Expected<void> LoopState::fetch() {
  while (taken < items.size()) {
    const Value &item = items[taken++];
    LLMC_TRY(kept, keeps ? keeps(item) : Expected<bool>(true));
    if (!kept)
      continue;
    ahead.push_back(item);
    return {};
  }
  return {};
}

Expected<std::optional<Value>> LoopState::advance() {
  if (given == ahead.size())
    LLMC_CHECK(fetch());
  if (given == ahead.size())
    return std::nullopt;
  if (++index > 0)
    previous = current;
  current = ahead[given++];
  if (given == ahead.size())
    ahead.clear(), given = 0;
  return current;
}

Expected<int64_t> LoopState::length() {
  if (!keeps)
    return int64_t(items.size());
  while (taken < items.size())
    LLMC_CHECK(fetch());
  return index + 1 + int64_t(ahead.size() - given);
}

Expected<Value> LoopState::next() {
  if (given == ahead.size())
    LLMC_CHECK(fetch());
  return given < ahead.size() ? ahead[given] : Value::undefined("there is no next item");
}

Expected<Value> LoopState::makeCycle() {
  return rendering->heap.function("cycle", [this](Arguments values) -> Expected<Value> {
    if (values.positional.empty())
      return invalidInput("loop.cycle: want at least one item");
    return values.positional[size_t(index) % values.positional.size()];
  });
}

// Whether its arguments are others than at its last call.
Expected<Value> LoopState::makeChanged() {
  return rendering->heap.function("changed", [this](Arguments values) -> Expected<Value> {
    LLMC_TRY(now, rendering->heap.tuple(std::move(values.positional)));
    LLMC_TRY(same, lastChanged ? equals(*rendering, *lastChanged, now) : Expected<bool>(false));
    lastChanged = now;
    return Value::of(!same);
  });
}

Expected<std::optional<Value>> LoopState::attribute(const std::string &name) {
  if (name == "index")
    return Value::of(index + 1);
  if (name == "index0")
    return Value::of(index);
  if (name == "first")
    return Value::of(index == 0);
  if (name == "depth" || name == "depth0")
    return Value::of(depth + (name == "depth"));
  if (name == "previtem")
    return previous;
  if (name == "cycle")
    return makeCycle();
  if (name == "changed")
    return makeChanged();
  if (name == "last" || name == "nextitem") {
    LLMC_TRY(following, next());
    return name == "last" ? Value::of(following.is(Kind::Undefined) && given == ahead.size()) : following;
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    LLMC_TRY(count, length());
    return Value::of(name == "length" ? count : name == "revindex" ? count - index : count - index - 1);
  }
  return std::nullopt;
}

} // namespace llmc::jinja
