// Python's str, on well-formed UTF-8: positions and lengths count code points.
#pragma once

#include "runtime/tokenizer/Unicode.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmc::jinja {

// Goes over a text's characters, as parts of it.
class CodePoints {
public:
  explicit CodePoints(std::string_view text) : text(text) {}
  struct Iterator {
    std::string_view rest;
    std::string_view operator*() const { return rest.substr(0, decodeFirst(rest).bytes); }
    Iterator &operator++() {
      rest.remove_prefix(decodeFirst(rest).bytes);
      return *this;
    }
    bool operator!=(const Iterator &other) const { return rest.size() != other.rest.size(); }
  };
  Iterator begin() const { return {text}; }
  Iterator end() const { return {}; }

private:
  std::string_view text;
};

size_t countCodePoints(std::string_view text);
// The bytes before character `index`; all of them if there are fewer.
size_t byteOffset(std::string_view text, size_t index);

bool isSpace(uint32_t codePoint); // str.isspace of one character

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text); // str.title, not the filter

// `chars` absent: white space.
std::string_view stripLeft(std::string_view text, std::optional<std::string_view> chars = {});
std::string_view stripRight(std::string_view text, std::optional<std::string_view> chars = {});
std::string_view strip(std::string_view text, std::optional<std::string_view> chars = {});

// At runs of white space, or at a separator that is not empty; at most `limit` cuts if it is not negative.
std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator, int64_t limit);
std::vector<std::string_view> splitFromRight(std::string_view text, std::optional<std::string_view> separator, int64_t limit);
std::vector<std::string_view> splitLines(std::string_view text, bool keepEnds);
// nullopt if the result would be longer than `maxBytes`.
std::optional<std::string> replace(std::string_view text, std::string_view from, std::string_view to, int64_t limit,
                                   size_t maxBytes);
std::string escapeHtml(std::string_view text);

std::string formatFloat(double value); // repr(float)
std::string quote(std::string_view text); // repr(str)
// int(text, base) and float(text); nullopt if Python would raise, or the number is beyond int64.
std::optional<int64_t> parseInt(std::string_view text, int base);
std::optional<double> parseFloat(std::string_view text);

} // namespace llmc::jinja
