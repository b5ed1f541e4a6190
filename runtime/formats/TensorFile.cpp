#include "runtime/formats/TensorFile.h"

#include "runtime/formats/Gguf.h"
#include "runtime/formats/Safetensors.h"
#include "runtime/support/ByteReader.h"
#include "runtime/support/MappedFile.h"

#include <algorithm>

namespace llmc {
namespace {

// Files that people pass by mistake, by their first bytes, and what to do about them.
struct Mistake {
  std::string_view magic;
  ErrorCode code;
  std::string_view advice;
};
constexpr Mistake mistakes[] = {
    {"version https://git-lfs", ErrorCode::InvalidInput, "is a git-lfs pointer, not the file: run 'git lfs pull'"},
    {"PK\3\4", ErrorCode::Unsupported, "is a PyTorch (zip) file: convert it to safetensors"},
    {"\x80\x02", ErrorCode::Unsupported, "is a Python pickle: convert it to safetensors"},
    {"lmgg", ErrorCode::Unsupported, "is a GGML file from before GGUF: convert it to GGUF"},
    {"fmgg", ErrorCode::Unsupported, "is a GGML file from before GGUF: convert it to GGUF"},
    {"tjgg", ErrorCode::Unsupported, "is a GGML file from before GGUF: convert it to GGUF"},
};

} // namespace

const TensorView *TensorFile::find(std::string_view name) const { return lookup(name); }

Expected<std::unique_ptr<TensorFile>> TensorFile::open(const std::string &path) {
  LLMC_TRY(mapped, MappedFile::open(path));
  std::string_view start = asText(mapped.bytes().first(std::min<size_t>(mapped.bytes().size(), 64)));
  if (start.starts_with("GGUF"))
    return Gguf::open(path);
  for (const Mistake &mistake : mistakes)
    if (start.starts_with(mistake.magic))
      return std::unexpected(Error{mistake.code, path + ": " + std::string(mistake.advice)});
  return Safetensors::open(path);
}

} // namespace llmc
