#include "runtime/tools/DraftModel.h"

namespace llmc {
namespace {

llmc_model_info infoOf(const llmc_api &api, const llmc_model_handle *model) {
  llmc_model_info info{};
  info.struct_size = sizeof info;
  api.model_get_info(model, &info, nullptr);
  return info;
}

std::string_view pieceOf(const llmc_api &api, const llmc_model_handle *model, int32_t token) {
  int64_t bytes = 0;
  const char *text = api.piece(model, token, &bytes);
  return text ? std::string_view(text, size_t(bytes)) : std::string_view();
}

} // namespace

Expected<void> checkSameVocabulary(const llmc_api &api, const llmc_model_handle *model, const llmc_api &draftApi, const llmc_model_handle *draft) {
  llmc_model_info info = infoOf(api, model), draftInfo = infoOf(draftApi, draft);
  if (info.vocab != draftInfo.vocab)
    return invalidInput("--draft: want the vocabulary of the model, " + std::to_string(info.vocab) + " tokens, got " +
                        std::to_string(draftInfo.vocab) + "; use a smaller model of the same family");
  if (!info.has_tokenizer || !draftInfo.has_tokenizer)
    return {};
  for (int32_t token = 0; token < info.vocab; ++token)
    if (pieceOf(api, model, token) != pieceOf(draftApi, draft, token))
      return invalidInput("--draft: want the vocabulary of the model, token " + std::to_string(token) +
                          " is another text there; use a smaller model of the same family");
  return {};
}

llmc_draft draftOf(const llmc_api &api, const llmc_model_handle *model, llmc_context *context, int64_t maxTokens, float minProbability) {
  llmc_context_info info{};
  info.struct_size = sizeof info;
  api.context_get_info(context, &info, nullptr);
  llmc_draft draft{};
  draft.struct_size = sizeof draft;
  draft.context = context;
  draft.vocab = infoOf(api, model).vocab;
  draft.room = info.context;
  draft.max_tokens = maxTokens;
  draft.min_probability = minProbability;
  draft.eval = api.eval;
  draft.rollback = api.rollback;
  draft.tokens = api.tokens;
  draft.error_message = api.error_message;
  draft.error_free = api.error_free;
  return draft;
}

} // namespace llmc
