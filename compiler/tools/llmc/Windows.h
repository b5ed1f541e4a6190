// A long text in windows of the context's size, as llama.cpp's perplexity tool cuts it: windows follow each other without overlap,
// what is left at the end is dropped, the first token of each is replaced by BOS if the model begins texts with it, and the
// second half of each is scored.
// Source: https://github.com/ggml-org/llama.cpp, tools/perplexity
#pragma once

#include "compiler/support/ToolStatus.h"

#include <cstdint>
#include <vector>

namespace llmc::tools {

class Windows {
public:
  // `bos`: -1 if the model has none. Errors: exit 1 if the text has fewer tokens than a window, or a window fewer than 4.
  static absl::StatusOr<Windows> cut(std::vector<int32_t> tokens, int64_t size, int32_t bos);

  int64_t count() const { return int64_t(tokens.size()) / size; }
  std::vector<int32_t> window(int64_t index) const;

  // Tokens [0, context) of a window are only read; token i + 1 is predicted after token i for i in [context, size - 1).
  int64_t context() const { return size / 2; }
  int64_t scored() const { return size - 1 - context(); }

private:
  Windows(std::vector<int32_t> tokens, int64_t size, int32_t bos) : tokens(std::move(tokens)), size(size), bos(bos) {}
  std::vector<int32_t> tokens;
  int64_t size;
  int32_t bos;
};

} // namespace llmc::tools
