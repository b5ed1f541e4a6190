#include "compiler/tools/llmc/Windows.h"

using namespace llmc;
using namespace llmc::tools;

absl::StatusOr<Windows> Windows::cut(std::vector<int32_t> tokens, int64_t size, int32_t bos) {
  if (size < 4)
    return invalidArgument("-c: want windows of at least 4 tokens, got " + std::to_string(size));
  if (int64_t(tokens.size()) < size)
    return invalidArgument("the text has " + std::to_string(tokens.size()) + " tokens, want at least one window of " +
                           std::to_string(size) + "; take a longer text or a smaller -c");
  return Windows(std::move(tokens), size, bos);
}

std::vector<int32_t> Windows::window(int64_t index) const {
  auto begin = tokens.begin() + index * size;
  std::vector<int32_t> result(begin, begin + size);
  if (bos >= 0)
    result[0] = bos;
  return result;
}
