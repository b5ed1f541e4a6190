// llmc.h: tokenizer, decoder, sampler.
#include "runtime/abi/Handles.h"
#include "runtime/engine/SamplerSetup.h"
#include "runtime/engine/TextStream.h"
#include "runtime/tokenizer/TokenizeBatch.h"

#include <algorithm>
#include <cstdlib>

using namespace llmc;
using namespace llmc::abi;

namespace {

const Tokenizer *tokenizerOf(const llmc_model_handle *handle) {
  auto tokenizer = handle ? handle->model->tokenizer() : Expected<const Tokenizer *>(nullptr);
  return tokenizer ? *tokenizer : nullptr;
}

Expected<const Tokenizer *> needTokenizer(const llmc_model_handle *handle) {
  LLMC_CHECK(notNull(handle, "model"));
  return handle->model->tokenizer();
}

Expected<std::string_view> textOf(const char *text, int64_t bytes) {
  if (bytes < 0 || (bytes > 0 && !text))
    return invalidInput("text: want " + std::to_string(bytes) + " bytes, got none");
  return std::string_view(text ? text : "", size_t(bytes));
}

template <class T> void copyOut(const T *from, size_t count, T *to, int64_t capacity) {
  if (to)
    std::copy_n(from, std::clamp<int64_t>(capacity, 0, int64_t(count)), to);
}

Expected<void> tellDecoded(llmc_decoder *decoder, std::string text, const char **out, int64_t *bytes) {
  decoder->text = repairUtf8(std::move(text));
  *out = decoder->text.c_str();
  *bytes = int64_t(decoder->text.size());
  return {};
}

} // namespace

extern "C" {

int32_t llmc_tokenize(const llmc_model_handle *model, const char *text, int64_t text_bytes, uint32_t flags,
                      int32_t *tokens, int64_t capacity, int64_t *count, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_TRY(tokenizer, needTokenizer(model));
    LLMC_CHECK(notNull(count, "count"));
    LLMC_TRY(view, textOf(text, text_bytes));
    EncodeOptions options{(flags & LLMC_ADD_SPECIAL) != 0, (flags & LLMC_PARSE_SPECIAL) != 0};
    LLMC_TRY(ids, tokenizer->encode(view, options));
    copyOut(ids.data(), ids.size(), tokens, capacity);
    *count = int64_t(ids.size());
    return {};
  });
}

int32_t llmc_detokenize(const llmc_model_handle *model, const int32_t *tokens, int64_t count, uint32_t flags,
                        char *text, int64_t capacity, int64_t *text_bytes, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_TRY(tokenizer, needTokenizer(model));
    LLMC_CHECK(notNull(text_bytes, "text_bytes"));
    if (count < 0 || (count > 0 && !tokens))
      return invalidInput("tokens: want " + std::to_string(count) + " ids, got none");
    LLMC_TRY(decoded, tokenizer->decode({tokens, size_t(count)}, (flags & LLMC_KEEP_SPECIAL) != 0));
    copyOut(decoded.data(), decoded.size(), text, capacity);
    *text_bytes = int64_t(decoded.size());
    return {};
  });
}

int32_t llmc_tokenize_batch(const llmc_model_handle *model, const char *json, int64_t json_bytes, char **result,
                            llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_TRY(tokenizer, needTokenizer(model));
    LLMC_CHECK(notNull(result, "result"));
    LLMC_TRY(view, textOf(json, json_bytes));
    LLMC_TRY(lists, tokenizeBatch(*tokenizer, view));
    *result = ownedText(lists);
    return {};
  });
}

const char *llmc_piece(const llmc_model_handle *model, int32_t token, int64_t *bytes) {
  const Tokenizer *tokenizer = tokenizerOf(model);
  std::string_view piece = tokenizer ? tokenizer->piece(token) : std::string_view();
  *bytes = int64_t(piece.size());
  return piece.empty() ? nullptr : piece.data();
}

int32_t llmc_find_token(const llmc_model_handle *model, const char *piece, int64_t bytes) {
  const Tokenizer *tokenizer = tokenizerOf(model);
  return tokenizer && piece && bytes >= 0 ? tokenizer->find({piece, size_t(bytes)}).value_or(-1) : -1;
}

int32_t llmc_is_special(const llmc_model_handle *model, int32_t token) {
  const Tokenizer *tokenizer = tokenizerOf(model);
  return tokenizer && token >= 0 && size_t(token) < tokenizer->size() && tokenizer->isSpecial(token);
}

int32_t llmc_bos(const llmc_model_handle *model) {
  const Tokenizer *tokenizer = tokenizerOf(model);
  return tokenizer ? tokenizer->bos().value_or(-1) : -1;
}

int32_t llmc_eos(const llmc_model_handle *model) {
  const Tokenizer *tokenizer = tokenizerOf(model);
  return tokenizer ? tokenizer->eos().value_or(-1) : -1;
}

int64_t llmc_stop_tokens(const llmc_model_handle *model, int32_t *tokens, int64_t capacity) {
  auto stops = model->model->stopTokens();
  copyOut(stops.data(), stops.size(), tokens, capacity);
  return int64_t(stops.size());
}

int32_t llmc_decoder_create(llmc_model_handle *model, llmc_decoder **decoder, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_TRY(tokenizer, needTokenizer(model));
    LLMC_CHECK(notNull(decoder, "decoder"));
    *decoder = new llmc_decoder{model->model, tokenizer, StreamDecoder(*tokenizer), {}};
    return {};
  });
}

int32_t llmc_decoder_push(llmc_decoder *decoder, int32_t token, const char **text, int64_t *bytes, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(decoder, "decoder"));
    if (token < 0 || size_t(token) >= decoder->tokenizer->size())
      return invalidInput("token " + std::to_string(token) + ": the vocabulary has " +
                          std::to_string(decoder->tokenizer->size()));
    return tellDecoded(decoder, decoder->decoder.push(token), text, bytes);
  });
}

int32_t llmc_decoder_flush(llmc_decoder *decoder, const char **text, int64_t *bytes, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(decoder, "decoder"));
    return tellDecoded(decoder, decoder->decoder.flush(), text, bytes);
  });
}

void llmc_decoder_free(llmc_decoder *decoder) { delete decoder; }

int32_t llmc_sampler_defaults(const llmc_model_handle *model, llmc_sampler_options *options, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(model, "model"));
    return writeStruct(samplerDefaults(*model->model), options, "llmc_sampler_options");
  });
}

int32_t llmc_sampler_create(llmc_model_handle *model, const llmc_sampler_options *options, llmc_sampler **sampler,
                            llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(model, "model"));
    LLMC_CHECK(notNull(sampler, "sampler"));
    LLMC_TRY(given, readStruct(options, "llmc_sampler_options"));
    LLMC_TRY(chosen, samplerOptions(options ? given : samplerDefaults(*model->model), *model->model));
    *sampler = new llmc_sampler{model->model, Sampler(chosen)};
    return {};
  });
}

int32_t llmc_sampler_sample(llmc_sampler *sampler, const float *logits, int64_t vocab, int32_t *token,
                            llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(sampler, "sampler"));
    LLMC_CHECK(notNull(logits, "logits"));
    LLMC_CHECK(notNull(token, "token"));
    if (vocab < 1)
      return invalidInput("vocab: want at least 1, got " + std::to_string(vocab));
    LLMC_TRY(next, sampler->sampler.next({logits, size_t(vocab)}));
    *token = next;
    return {};
  });
}

int32_t llmc_sampler_accept(llmc_sampler *sampler, int32_t token, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(sampler, "sampler"));
    if (token < 0 || token >= sampler->model->artifact().vocab)
      return invalidInput("token " + std::to_string(token) + ": the vocabulary has " +
                          std::to_string(sampler->model->artifact().vocab));
    sampler->sampler.accept(token);
    return {};
  });
}

void llmc_sampler_reset(llmc_sampler *sampler) { sampler->sampler.reset(); }
void llmc_sampler_free(llmc_sampler *sampler) { delete sampler; }

} // extern "C"
