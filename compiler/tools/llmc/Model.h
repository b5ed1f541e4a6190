// A compiled model and its contexts, over the C ABI of its library: RAII, and errors as absl::Status.
#pragma once

#include "compiler/support/ToolStatus.h"
#include "runtime/support/Json.h"

#include "llmc/loader.h"

#include <memory>
#include <string>
#include <vector>

namespace llmc::tools {

class Model {
public:
  // Opens the library at `path`. `keepAlive`: what must outlive the model (a cache entry's lock). `hugePages`, `device`: as in llmc_open_options.
  static absl::StatusOr<std::unique_ptr<Model>> open(const std::string &path, std::shared_ptr<void> keepAlive,
                                                     int32_t hugePages, const std::string &device);
  ~Model();

  const llmc_api &api() const { return functions; }
  llmc_model_handle *handle() const { return model; }
  const llmc_model_info &info() const { return facts; }
  const Json &metadata() const { return recorded; }
  bool isExact() const;
  // Errors: exit 3 if the model is an encoder or has one: for `what`, such as "perplexity", that is only of models that go on from tokens alone.
  absl::Status checkContinues(std::string_view what) const;

  // Where the weights are. `wait`: once no more of them will be copied.
  absl::StatusOr<llmc_weight_memory_info> weightMemory(bool wait) const;

  // `flags`: enum llmc_text_flags.
  absl::StatusOr<std::vector<int32_t>> tokenize(std::string_view text, uint32_t flags) const;
  absl::StatusOr<std::string> detokenize(const std::vector<int32_t> &ids, uint32_t flags) const;
  // The id that goes before every text, or -1.
  int32_t leadingToken() const;

  // The status of a call that returned `code`; frees `error`.
  absl::Status status(int32_t code, llmc_error *error) const;

private:
  Model() = default;
  std::shared_ptr<void> keepAlive;
  llmc_api functions{};
  llmc_model_handle *model = nullptr;
  llmc_model_info facts{};
  Json recorded;
};

class Context {
public:
  // As in llmc_context_options.
  struct Sizes {
    int64_t context = 0, slots = 0;
    int32_t threads = 0;
  };
  static absl::StatusOr<std::unique_ptr<Context>> create(const Model &model, const Sizes &sizes);
  static absl::StatusOr<std::unique_ptr<Context>> create(const Model &model, int64_t context, int32_t threads) {
    return create(model, {.context = context, .slots = 1, .threads = threads});
  }
  ~Context();

  const Model &model() const { return *owner; }
  llmc_context *handle() const { return context; }
  const llmc_context_info &info() const { return facts; }

  // Appends tokens to slot 0. `logits`: [tokens, vocab] of every token, or null for none.
  absl::Status eval(const int32_t *tokens, int64_t count, float *logits);
  absl::Status eval(llmc_eval_request request);
  absl::Status encode(llmc_eval_request request);
  absl::Status embed(std::string_view text, llmc_embed_options options, float *vector);
  absl::Status clear(int32_t slot = 0);
  absl::Status fork(int32_t from, int32_t to);

private:
  Context() = default;
  const Model *owner = nullptr;
  llmc_context *context = nullptr;
  llmc_context_info facts{};
};

} // namespace llmc::tools
