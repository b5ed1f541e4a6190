// Writes a float32 matrix as NumPy's .npy, row by row, without knowing the number of rows beforehand.
// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include "compiler/support/ToolStatus.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

namespace llmc::tools {

class NpyWriter {
public:
  // Errors: exit 1 if the file can't be written.
  static absl::StatusOr<std::unique_ptr<NpyWriter>> create(const std::string &path, int64_t columns);
  ~NpyWriter(); // a file that was not finished is removed

  // `values`: [rows, columns]. A failure shows in `finish`.
  void append(const float *values, int64_t rows);
  absl::Status finish();

private:
  NpyWriter(std::string path, FILE *file, int64_t columns) : path(std::move(path)), file(file), columns(columns) {}
  void writeHeader();

  std::string path;
  FILE *file;
  int64_t columns, rows = 0;
};

} // namespace llmc::tools
