// A ChatModel over the C ABI of an open library: slot 0 of a context holds the conversation.
#pragma once

#include "llmc/loader.h"
#include "runtime/tools/ChatLoop.h"

#include <optional>

namespace llmc {

struct ApiChatOptions {
  std::optional<std::string> chatTemplate; // instead of the model's own
  llmc_sampler_options sampler{};          // complete
  int64_t maxTokens = 0;                   // of an answer; 0: until the model stops or the context is full
  std::vector<std::string> stops;
  bool showsSpecial = false;
};

class ApiChatModel : public ChatModel {
public:
  // All must outlive it.
  ApiChatModel(const llmc_api &api, llmc_model_handle *model, llmc_context *context, ApiChatOptions options)
      : api(api), model(model), context(context), options(std::move(options)) {}

  Expected<std::string> applyTemplate(const std::string &request) override;
  Expected<llmc_generate_stats> answer(const std::string &prompt, const OnText &onText) override;
  Expected<void> clear() override;

private:
  // Whatever makes Ctrl-C call llmc_set_cancel meanwhile.
  virtual Expected<void> interruptible(const std::function<Expected<void>()> &work) = 0;

  const llmc_api &api;
  llmc_model_handle *model;
  llmc_context *context;
  ApiChatOptions options;
};

// llmc_apply_chat_template. Errors: its own.
Expected<std::string> applyChatTemplate(const llmc_api &api, const llmc_model_handle *model, const std::string &request,
                                        const std::optional<std::string> &chatTemplate, bool generationPrompt);

} // namespace llmc
