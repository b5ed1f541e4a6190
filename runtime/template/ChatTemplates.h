// A model's chat templates: from its files, in an artifact, and applied to a conversation.
//
//   LLMC_TRY(templates, ChatTemplates::fromHuggingFace(directory));
//   LLMC_TRY(prompt, templates.apply({.request = R"([{"role": "user", "content": "Hello"}])"}));
//
// The text is to be encoded with the text of special tokens as their ids, and no token added.
#pragma once

#include "runtime/support/Error.h"
#include "runtime/template/Budget.h"

#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace llmc {

class Gguf;

struct ChatRequest {
  // JSON: a list of messages, or an object with "messages" and, if wanted, "tools", "documents", "add_generation_prompt"
  // and whatever else the template reads. A message is an object with "role", "content" and the like.
  std::string_view request;
  bool addGenerationPrompt = true; // unless the request says
  std::optional<std::tm> now = {}; // what strftime_now tells; absent: local time
  jinja::Limits limits = {};
};

class ChatTemplates {
public:
  // `path`: a Hugging Face directory or one of its files. Read: chat_template.jinja and chat_templates/*.jinja, else
  // chat_template.json, else tokenizer_config.json, whose special tokens templates see, as special_tokens_map.json's.
  // A directory without any template gives an empty object.
  static Expected<ChatTemplates> fromHuggingFace(const std::string &path);
  static Expected<ChatTemplates> fromGguf(const Gguf &file);
  // What a module's asset names: a GGUF file, one of the files above, or any other text as the template, with the special tokens of
  // the files beside it.
  static Expected<ChatTemplates> fromFile(const std::string &path);
  static Expected<ChatTemplates> fromBlob(std::string_view blob); // of toBlob(); empty: no template
  std::string toBlob() const;                                      // empty if there is no template

  bool empty() const { return templates.empty(); }
  // A template instead of the model's own.
  void replaceBy(std::string text) { templates = {{"default", std::move(text)}}; }
  // A special token's text ("bos_token"), unless it is known.
  void addToken(std::string name, std::string text) { tokens.emplace(std::move(name), std::move(text)); }

  // As transformers' apply_chat_template: "tool_use" is taken if there is one of this name and the request has tools,
  // else "default". Errors: InvalidInput if there is no template, the request is malformed, the template is or refuses the conversation,
  // with line and column; Unsupported if it uses what the engine has not.
  Expected<std::string> apply(const ChatRequest &request) const;

private:
  struct Chosen {
    std::string_view name, text;
  };
  Expected<Chosen> choose(bool hasTools) const;

  std::map<std::string, std::string, std::less<>> templates; // by name
  std::map<std::string, std::string, std::less<>> tokens;    // "bos_token": "<s>"
};

} // namespace llmc
