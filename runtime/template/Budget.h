// What one rendering may spend: a template comes from the same untrusted file as the weights.
#pragma once

#include "runtime/support/Error.h"

#include <cstddef>

namespace llmc::jinja {

struct Limits {
  size_t steps = 20'000'000;            // expressions, statements and items worked on
  size_t bytes = size_t(256) << 20;     // of all text and lists made on the way
  size_t outputBytes = size_t(64) << 20; // of the result
  size_t depth = 400;                   // of expressions, statements and macros within one another, and of values
};

class Budget {
public:
  explicit Budget(const Limits &limits) : limits(limits) {}

  Expected<void> step(size_t count = 1) {
    if (count > limits.steps - steps)
      return over("it takes more than " + std::to_string(limits.steps) + " steps");
    steps += count;
    return {};
  }
  // Making and reading text takes time too.
  Expected<void> bytes(size_t count) {
    if (count > limits.bytes - made)
      return over("it makes more than " + std::to_string(limits.bytes) + " bytes of text and lists");
    made += count;
    return step(count / 64);
  }
  Expected<void> output(size_t size) const {
    return size <= limits.outputBytes ? Expected<void>() : over("its text has more than " + std::to_string(limits.outputBytes) + " bytes");
  }

  // One level deeper, for as long as it lives.
  class Level {
  public:
    explicit Level(size_t *depth) : depth(depth) {}
    Level(Level &&other) noexcept : depth(other.depth) { other.depth = nullptr; }
    Level &operator=(Level &&) = delete;
    ~Level() {
      if (depth)
        --*depth;
    }

  private:
    size_t *depth;
  };
  Expected<Level> nest() {
    if (depth == limits.depth)
      return over("it goes deeper than " + std::to_string(limits.depth) + " levels");
    ++depth;
    return Level(&depth);
  }

private:
  static std::unexpected<Error> over(const std::string &what) { return invalidInput("the template was stopped: " + what); }

  Limits limits;
  size_t steps = 0, made = 0, depth = 0;
};

// One level deeper until the end of the enclosing block; returns the error from the enclosing function where that is too deep.
#define LLMC_NEST(budget)                                                                                              \
  auto nestedLevel = (budget).nest();                                                                                  \
  if (!nestedLevel)                                                                                                    \
  return std::unexpected(std::move(nestedLevel.error()))

} // namespace llmc::jinja
