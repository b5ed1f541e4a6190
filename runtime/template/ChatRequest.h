// A request's JSON as the variables that a chat template reads. Internal to runtime/template.
#pragma once

#include "runtime/template/Template.h"

namespace llmc::jinja {

struct Conversation {
  Variables variables; // messages, tools, documents, and what else the request has
  bool hasTools = false;
};

// As transformers prepares it: members of messages that are null are dropped, and a message's reasoning is found under
// each of its names. Errors: InvalidInput, naming the message.
Expected<Conversation> readConversation(Rendering &rendering, std::string_view json);

} // namespace llmc::jinja
