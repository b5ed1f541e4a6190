// Tiny checkpoints written on the spot, and the text of what importing them gives.
#pragma once

#include "frontends/Import.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace llmc::frontends {

// A directory that goes with the test.
class ScratchDirectory {
public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "llmc-frontends-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path); }
  void write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path + "/" + name, std::ios::binary) << bytes;
  }
  std::string path;
};

struct TinyTensor {
  std::string name;
  std::vector<int64_t> shape; // outermost first
  int64_t elements() const {
    int64_t n = 1;
    for (int64_t dim : shape)
      n *= dim;
    return n;
  }
};

template <class T> void append(std::string &bytes, T value) {
  bytes.append(reinterpret_cast<const char *>(&value), sizeof(T));
}

// A safetensors file of zeros. `dtype`: "F32", or "BF16".
inline std::string safetensors(const std::vector<TinyTensor> &tensors, const std::string &dtype = "F32") {
  std::string header = "{";
  int64_t offset = 0;
  for (const TinyTensor &tensor : tensors) {
    std::string shape;
    for (int64_t dim : tensor.shape)
      shape += (shape.empty() ? "" : ",") + std::to_string(dim);
    int64_t end = offset + tensor.elements() * (dtype == "F32" ? 4 : 2);
    header += (offset ? ",\"" : "\"") + tensor.name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape +
              "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]}";
    offset = end;
  }
  header += "}";
  std::string bytes;
  append<uint64_t>(bytes, header.size());
  return bytes + header + std::string(offset, '\0');
}

// What importing gave: the module's text (checked to survive a round trip), or the error.
struct Imported {
  std::string text, error;
  int exitCode = 0;
};

inline Imported importText(const std::string &source, const ImportOptions &options = {}) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  Imported result;
  auto module = importModel(context, source, options);
  if (!module) {
    llvm::handleAllErrors(module.takeError(), [&](const ImportError &error) {
      result.error = error.message(), result.exitCode = error.getExitCode();
    });
    return result;
  }
  auto print = [](mlir::ModuleOp op) {
    std::string text;
    llvm::raw_string_ostream os(text);
    op.print(os);
    return text;
  };
  result.text = print(**module);
  auto again = mlir::parseSourceString<mlir::ModuleOp>(result.text, &context);
  if (!again || print(*again) != result.text)
    result.error = "the module does not survive a round trip through text", result.exitCode = 2;
  return result;
}

inline bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

} // namespace llmc::frontends
