// Reads config.json into a Model.
#pragma once

#include "frontends/Model.h"
#include "runtime/support/Json.h"

namespace mlir {
class MLIRContext;
}

namespace llmc::frontends {

// Typed access to config.json: what is absent takes the key's fallback, what is null counts as absent, and what is of
// another type or not finite is reported.
class Config {
public:
  Config(const Json &json, Report &report) : json(json), report(report) {}

  bool has(llvm::StringRef key) const { return member(key) != nullptr; }
  // Of names separated by '|' the first that is there; "a.b" is the member b of the object a.
  const Json *member(llvm::StringRef key) const;
  // Reported and 0 if absent without fallback.
  double number(const Key &key) const;
  int64_t integer(const Key &key) const;
  double cap(const Key &key) const; // as number, but null is 0
  bool flag(llvm::StringRef key, bool fallback) const;
  std::optional<std::string> text(llvm::StringRef key) const;
  // Reports that something is wrong in itself.
  void invalid(const llvm::Twine &what) const { report.invalid("config.json: " + what); }
  // Reports that something changes the graph in a way that we do not have.
  void unsupported(const llvm::Twine &what) const { report.unsupported("config.json: " + what); }

private:
  const Json *memberAt(llvm::StringRef path) const;
  static std::string_view view(llvm::StringRef key) { return {key.data(), key.size()}; }
  const Json &json;
  Report &report;
};

// The numbers of `family`'s model. `config.json` is untrusted: what is out of range or unknown goes to `report`.
Model readConfig(mlir::MLIRContext &context, const Family &family, const Json &json, Report &report);

// The type of each of the model's layers; attention looks back `window` tokens where it slides (0: nowhere).
std::vector<LayerType> readLayerTypes(const Model &model, const Config &config, int64_t window, Report &report);
// How far attention looks back in layers that slide; 0: no layer slides.
int64_t readWindow(const Family &family, const Config &config);
// How many layers the list of layer types names; nullopt if there is none or it repeats.
std::optional<int64_t> listedLayers(const Family &family, const Config &config);

// The rope table of layers of `type`, in either style of config.json: `rope_parameters` (perhaps one for each layer
// type), or `rope_theta` with `rope_scaling`.
RopeTable readRope(mlir::MLIRContext &context, const Model &model, const LayerSpec &type, const Config &config,
                   const Json &json, Report &report);

// One id or a list of them; nothing if absent or malformed.
std::vector<int64_t> readTokenIds(const Json &json, llvm::StringRef key);

} // namespace llmc::frontends
