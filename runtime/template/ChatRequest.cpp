#include "runtime/template/ChatRequest.h"

#include "runtime/template/Print.h"

namespace llmc::jinja {
namespace {

constexpr const char *what = "messages";

// The first of these that a message has is its reasoning.
constexpr std::string_view reasoningNames[] = {"reasoning_content", "thinking", "reasoning"};

const Value *reasoningOf(const Dict &message) {
  for (std::string_view name : reasoningNames)
    if (const Value *found = message.find(name))
      return found;
  return nullptr;
}

Expected<Value> prepareMessage(Rendering &rendering, const Value &message, size_t index) {
  if (!message.is(Kind::Dict))
    return invalidInput(std::string(what) + ": message " + std::to_string(index) + ": want an object with \"role\" and \"content\", got " +
                        typeName(message));
  LLMC_TRY(kept, rendering.heap.make<Dict>());
  LLMC_TRY(prepared, rendering.heap.make<Dict>());
  for (const auto &[key, value] : message.dict().entries)
    if (!value.is(Kind::None))
      kept->set(key, value);
  const Value *reasoning = reasoningOf(*kept);
  if (!reasoning)
    return Value::object(Kind::Dict, kept);
  prepared->set(Value::of(std::string("thinking")), *reasoning);
  for (const auto &[key, value] : kept->entries)
    prepared->set(key, value);
  prepared->set(Value::of(std::string("reasoning_content")), *reasoning);
  return Value::object(Kind::Dict, prepared);
}

Expected<Value> prepareMessages(Rendering &rendering, const Value &messages) {
  if (!messages.is(Kind::List))
    return invalidInput(std::string(what) + ": want a list of messages, or an object with \"messages\", got " + typeName(messages));
  if (messages.sequence().items.empty())
    return invalidInput(std::string(what) + ": want at least one message, the list is empty");
  std::vector<Value> prepared;
  for (const Value &message : messages.sequence().items) {
    LLMC_TRY(one, prepareMessage(rendering, message, prepared.size()));
    prepared.push_back(one);
  }
  return rendering.heap.list(std::move(prepared));
}

Expected<void> checkObjects(const char *name, const Value &value) {
  if (value.is(Kind::None))
    return {};
  bool isList = value.is(Kind::List);
  if (isList)
    for (const Value &item : value.sequence().items)
      isList = isList && item.is(Kind::Dict);
  return isList ? Expected<void>() : invalidInput(std::string("'") + name + "': want a list of objects");
}

} // namespace

Expected<Conversation> readConversation(Rendering &rendering, std::string_view json) {
  LLMC_TRY(request, fromJson(rendering, json, what));
  Conversation read;
  // Templates test these, so they are always there.
  Value tools = Value::none(), documents = Value::none(), messages = request;
  if (request.is(Kind::Dict)) {
    messages = Value::none();
    for (const auto &[key, value] : request.dict().entries) {
      if (key.text() == "messages")
        messages = value;
      else if (key.text() == "tools")
        tools = value;
      else if (key.text() == "documents")
        documents = value;
      else
        read.variables.emplace_back(key.text(), value);
    }
  }
  LLMC_TRY(prepared, prepareMessages(rendering, messages));
  LLMC_CHECK(checkObjects("tools", tools));
  LLMC_CHECK(checkObjects("documents", documents));
  read.hasTools = !tools.is(Kind::None);
  read.variables.emplace_back("messages", prepared);
  read.variables.emplace_back("tools", tools);
  read.variables.emplace_back("documents", documents);
  return read;
}

} // namespace llmc::jinja
