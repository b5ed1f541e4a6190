// llmc.h: chat templates.
#include "runtime/abi/Handles.h"
#include "runtime/template/ChatTemplates.h"

#include <cstdlib>

using namespace llmc;
using namespace llmc::abi;

namespace {

Expected<ChatTemplates> templatesOf(const LoadedModel &model) {
  auto asset = model.asset("chat_template").value_or(std::span<const std::byte>());
  return ChatTemplates::fromBlob({reinterpret_cast<const char *>(asset.data()), asset.size()});
}

std::string_view viewOf(const char *text, int64_t bytes) { return bytes ? std::string_view(text, size_t(bytes)) : text; }

// A model without a template of its own has not recorded the texts of its tokens.
void addTokens(ChatTemplates &templates, const Tokenizer &tokenizer) {
  if (auto bos = tokenizer.bos())
    templates.addToken("bos_token", std::string(tokenizer.piece(*bos)));
  if (auto eos = tokenizer.eos())
    templates.addToken("eos_token", std::string(tokenizer.piece(*eos)));
}

} // namespace

extern "C" int32_t llmc_apply_chat_template(const llmc_model_handle *model, const llmc_chat_options *given, char **text, int64_t *bytes,
                                            llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(model, "model"));
    LLMC_CHECK(notNull(text, "text"));
    LLMC_CHECK(notNull(bytes, "bytes"));
    LLMC_TRY(options, readStruct(given, "llmc_chat_options"));
    LLMC_CHECK(notNull(options.request, "request"));
    LLMC_TRY(templates, templatesOf(*model->model));
    if (options.chat_template) {
      auto tokenizer = model->model->tokenizer();
      if (templates.empty() && tokenizer)
        addTokens(templates, **tokenizer);
      templates.replaceBy(std::string(viewOf(options.chat_template, options.chat_template_bytes)));
    }
    LLMC_TRY(rendered, templates.apply({.request = viewOf(options.request, options.request_bytes),
                                        .addGenerationPrompt = options.no_generation_prompt == 0}));
    *text = ownedText(rendered);
    *bytes = int64_t(rendered.size());
    return {};
  });
}
