#include "runtime/tools/ApiChatModel.h"

namespace llmc {
namespace {

Expected<void> checkCode(const llmc_api &api, int32_t code, llmc_error *error) {
  if (code == LLMC_OK)
    return {};
  std::string message = error ? api.error_message(error) : "out of memory";
  api.error_free(error);
  return std::unexpected(Error{ErrorCode(code), message});
}

int32_t passText(void *user, const char *text, int64_t bytes) {
  return !(*static_cast<const ChatModel::OnText *>(user))({text, size_t(bytes)});
}

} // namespace

Expected<std::string> applyChatTemplate(const llmc_api &api, const llmc_model_handle *model, const std::string &request,
                                        const std::optional<std::string> &chatTemplate, bool generationPrompt) {
  llmc_chat_options options{};
  options.struct_size = sizeof options;
  options.request = request.c_str();
  options.request_bytes = int64_t(request.size());
  options.chat_template = chatTemplate ? chatTemplate->c_str() : nullptr;
  options.chat_template_bytes = chatTemplate ? int64_t(chatTemplate->size()) : 0;
  options.no_generation_prompt = !generationPrompt;
  char *text = nullptr;
  int64_t bytes = 0;
  llmc_error *error = nullptr;
  LLMC_CHECK(checkCode(api, api.apply_chat_template(model, &options, &text, &bytes, &error), error));
  std::string result(text, size_t(bytes));
  api.free(text);
  return result;
}

Expected<std::string> ApiChatModel::applyTemplate(const std::string &request) {
  return applyChatTemplate(api, model, request, options.chatTemplate, true);
}

Expected<llmc_generate_stats> ApiChatModel::answer(const std::string &prompt, const OnText &onText) {
  if (prompt.empty())
    return invalidInput("the chat template made an empty text of this conversation");
  std::vector<const char *> stops;
  for (const std::string &stop : options.stops)
    stops.push_back(stop.c_str());
  llmc_generate_options request{};
  request.struct_size = sizeof request;
  request.prompt = prompt.data();
  request.prompt_bytes = int64_t(prompt.size());
  request.flags = LLMC_NO_SPECIAL | LLMC_PROMPT_SPECIAL | LLMC_NO_LOGITS | (options.showsSpecial ? LLMC_SHOW_SPECIAL : 0);
  request.max_tokens = options.maxTokens;
  request.sampler = &options.sampler;
  request.stop = stops.data();
  request.stop_count = int64_t(stops.size());
  request.on_text = passText;
  request.user = const_cast<OnText *>(&onText);
  llmc_generate_stats stats{};
  stats.struct_size = sizeof stats;
  api.set_cancel(context, 0); // the turn before may have been stopped
  LLMC_CHECK(interruptible([&]() -> Expected<void> {
    llmc_error *error = nullptr;
    return checkCode(api, api.generate(context, &request, &stats, &error), error);
  }));
  return stats;
}

Expected<void> ApiChatModel::clear() {
  llmc_error *error = nullptr;
  return checkCode(api, api.clear(context, 0, &error), error);
}

} // namespace llmc
