// One reader over every checkpoint container: safetensors (single file), GGUF v2/v3.
//
//   Expected<std::unique_ptr<TensorFile>> file = TensorFile::open("model.gguf");
//   const TensorView *q = (*file)->find("blk.0.attn_q.weight");
//
// Files are mapped read-only, never copied. Everything in the header is checked against the file's size before use:
// tensors lie inside the file, do not overlap, and have exactly the bytes that their shape and format need; duplicate
// names are refused; headers are capped at 100 MB, ranks at 8.
// Thread-safe after opening.
#pragma once

#include "runtime/formats/Tensor.h"

#include <memory>

namespace llmc {

class Gguf;

class TensorFile {
public:
  virtual ~TensorFile() = default;

  // Opens by content, not by extension. Errors: InvalidInput (unreadable, malformed), Unsupported (a format or version
  // that we do not have; the message names each such tensor type once).
  static Expected<std::unique_ptr<TensorFile>> open(const std::string &path);

  virtual const std::string &path() const = 0;
  virtual std::span<const TensorView> tensors() const = 0; // in file order
  const TensorView *find(std::string_view name) const;     // null if absent
  virtual const Gguf *gguf() const { return nullptr; }     // the metadata, if this is a GGUF file

protected:
  virtual const TensorView *lookup(std::string_view name) const = 0;
};

} // namespace llmc
