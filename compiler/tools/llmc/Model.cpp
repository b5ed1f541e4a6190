#include "compiler/tools/llmc/Model.h"

#include "compiler/tools/llmc/Interrupt.h"

using namespace llmc;
using namespace llmc::tools;

absl::StatusOr<std::unique_ptr<Model>> Model::open(const std::string &path, std::shared_ptr<void> keepAlive,
                                                   int32_t hugePages, const std::string &device) {
  std::unique_ptr<Model> model(new Model);
  model->keepAlive = std::move(keepAlive);
  char message[512];
  std::string name = path.find('/') == std::string::npos ? "./" + path : path;
  if (llmc_api_open(name.c_str(), &model->functions, message, sizeof message))
    return invalidArgument(message);
  const llmc_api &api = model->functions;
  llmc_error *error = nullptr;
  llmc_open_options options{};
  options.struct_size = sizeof options;
  options.huge_pages = hugePages;
  options.device = device.empty() ? nullptr : device.c_str();
  LLMC_RETURN_IF_ERROR(model->status(api.model_open(&options, &model->model, &error), error));
  model->facts.struct_size = sizeof model->facts;
  LLMC_RETURN_IF_ERROR(model->status(api.model_get_info(model->model, &model->facts, &error), error));
  LLMC_ASSIGN(metadata, toStatus(parseJson(api.model_metadata(model->model), path + ": metadata")));
  model->recorded = std::move(metadata);
  return model;
}

Model::~Model() {
  if (model)
    functions.model_close(model);
  llmc_api_close(&functions);
}

bool Model::isExact() const { return jsonString(recorded, "mode") == "exact"; }

absl::Status Model::status(int32_t code, llmc_error *error) const {
  if (code == LLMC_OK)
    return absl::OkStatus();
  absl::Status status = toStatus(ErrorCode(code), error ? functions.error_message(error) : "failed without a message");
  functions.error_free(error);
  return status;
}

absl::Status Model::checkContinues(std::string_view what) const {
  if (!facts.looks_ahead && !facts.max_source_tokens)
    return absl::OkStatus();
  return notSupported(std::string(what) + " of " + (facts.looks_ahead ? "an encoder" : "an encoder-decoder") +
                      " is not supported; `llmc eval logits`, `hidden` and `embed` are");
}

absl::StatusOr<llmc_weight_memory_info> Model::weightMemory(bool wait) const {
  llmc_weight_memory_info info{};
  info.struct_size = sizeof info;
  llmc_error *error = nullptr;
  LLMC_RETURN_IF_ERROR(status(functions.weight_memory(model, wait, &info, &error), error));
  return info;
}

absl::StatusOr<std::vector<int32_t>> Model::tokenize(std::string_view text, uint32_t flags) const {
  std::vector<int32_t> ids(text.size() + 16);
  for (;;) {
    int64_t count = 0;
    llmc_error *error = nullptr;
    LLMC_RETURN_IF_ERROR(status(functions.tokenize(model, text.data(), int64_t(text.size()), flags, ids.data(),
                                                   int64_t(ids.size()), &count, &error),
                                error));
    bool fits = count <= int64_t(ids.size());
    ids.resize(size_t(count));
    if (fits)
      return ids;
  }
}

absl::StatusOr<std::string> Model::detokenize(const std::vector<int32_t> &ids, uint32_t flags) const {
  std::string text(ids.size() * 8 + 16, '\0');
  for (;;) {
    int64_t bytes = 0;
    llmc_error *error = nullptr;
    LLMC_RETURN_IF_ERROR(status(functions.detokenize(model, ids.data(), int64_t(ids.size()), flags, text.data(),
                                                     int64_t(text.size()), &bytes, &error),
                                error));
    bool fits = bytes <= int64_t(text.size());
    text.resize(size_t(bytes));
    if (fits)
      return text;
  }
}

int32_t Model::leadingToken() const {
  auto ids = tokenize("", LLMC_ADD_SPECIAL);
  int32_t bos = functions.bos(model);
  return ids.ok() && bos >= 0 && !ids->empty() && ids->front() == bos ? bos : -1;
}

absl::StatusOr<std::unique_ptr<Context>> Context::create(const Model &model, const Sizes &sizes) {
  std::unique_ptr<Context> result(new Context);
  result->owner = &model;
  llmc_context_options options{};
  options.struct_size = sizeof options;
  options.context = sizes.context;
  options.slots = sizes.slots;
  options.threads = sizes.threads;
  llmc_error *error = nullptr;
  LLMC_RETURN_IF_ERROR(
      model.status(model.api().context_create(model.handle(), &options, &result->context, &error), error));
  result->facts.struct_size = sizeof result->facts;
  LLMC_RETURN_IF_ERROR(
      model.status(model.api().context_get_info(result->context, &result->facts, &error), error));
  return result;
}

Context::~Context() {
  if (context)
    owner->api().context_free(context);
}

absl::Status Context::eval(llmc_eval_request request) {
  CancelScope scope(owner->api(), context);
  request.struct_size = sizeof request;
  llmc_error *error = nullptr;
  return owner->status(owner->api().eval(context, &request, &error), error);
}

absl::Status Context::embed(std::string_view text, llmc_embed_options options, float *vector) {
  CancelScope scope(owner->api(), context);
  options.struct_size = sizeof options;
  llmc_error *error = nullptr;
  return owner->status(owner->api().embed(context, text.data(), int64_t(text.size()), &options, vector, &error), error);
}

absl::Status Context::encode(llmc_eval_request request) {
  CancelScope scope(owner->api(), context);
  request.struct_size = sizeof request;
  llmc_error *error = nullptr;
  return owner->status(owner->api().encode(context, &request, &error), error);
}

absl::Status Context::eval(const int32_t *tokens, int64_t count, float *logits) {
  llmc_eval_request request{};
  request.tokens = tokens;
  request.count = count;
  request.want = logits ? LLMC_WANT_ALL : LLMC_WANT_NONE;
  request.logits = logits;
  return eval(request);
}

absl::Status Context::clear(int32_t slot) {
  llmc_error *error = nullptr;
  return owner->status(owner->api().clear(context, slot, &error), error);
}

absl::Status Context::fork(int32_t from, int32_t to) {
  llmc_error *error = nullptr;
  return owner->status(owner->api().fork(context, from, to, &error), error);
}
