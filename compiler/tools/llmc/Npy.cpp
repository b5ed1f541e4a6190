#include "compiler/tools/llmc/Npy.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

using namespace llmc;
using namespace llmc::tools;

static absl::Status failure(const std::string &path) {
  return invalidArgument(path + ": can't be written: " + strerror(errno));
}

absl::StatusOr<std::unique_ptr<NpyWriter>> NpyWriter::create(const std::string &path, int64_t columns) {
  FILE *file = fopen(path.c_str(), "wbe");
  if (!file)
    return failure(path);
  std::unique_ptr<NpyWriter> writer(new NpyWriter(path, file, columns));
  writer->writeHeader();
  return writer;
}

NpyWriter::~NpyWriter() {
  if (!file)
    return;
  fclose(file);
  unlink(path.c_str());
}

// Of one size for every number of rows, so that it can be written again at the end.
void NpyWriter::writeHeader() {
  constexpr size_t headerBytes = 128, prefixBytes = 10; // magic, version, length
  std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                     std::to_string(columns) + "), }";
  text.resize(headerBytes - prefixBytes - 1, ' ');
  text += '\n';
  const unsigned char prefix[prefixBytes] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, headerBytes - prefixBytes, 0};
  fwrite(prefix, 1, prefixBytes, file);
  fwrite(text.data(), 1, text.size(), file);
}

void NpyWriter::append(const float *values, int64_t count) {
  rows += count;
  fwrite(values, sizeof(float), size_t(count * columns), file);
}

absl::Status NpyWriter::finish() {
  bool rewound = fseek(file, 0, SEEK_SET) == 0;
  if (rewound)
    writeHeader();
  bool bad = !rewound || ferror(file);
  if (fflush(file) != 0 || bad)
    return failure(path);
  FILE *closing = file;
  file = nullptr;
  return fclose(closing) == 0 ? absl::OkStatus() : failure(path);
}
