#include "runtime/template/ChatTemplates.h"

#include "runtime/support/Json.h"
#include "runtime/template/ChatRequest.h"
#include "runtime/template/Template.h"

namespace llmc {
namespace {

constexpr size_t maxClockBytes = 1024;

std::tm localNow() {
  std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

// strftime; a format that begins with a letter tells an empty result from one that does not fit.
Expected<std::string> formatClock(const std::tm &now, const std::string &format) {
  char text[maxClockBytes];
  size_t length = std::strftime(text, sizeof text, ("x" + format).c_str(), &now);
  if (length == 0 || !isUtf8({text, length}))
    return invalidInput("strftime_now: the format " + quoteText(format, 40) + " gives no text of up to " +
                        std::to_string(maxClockBytes) + " bytes");
  return std::string(text + 1, length - 1);
}

Json toObject(const std::map<std::string, std::string, std::less<>> &map) {
  Json object = Json::object();
  for (const auto &[key, text] : map)
    object[key] = text;
  return object;
}

Expected<void> readTexts(const Json &blob, std::string_view key, std::map<std::string, std::string, std::less<>> &map) {
  const Json *object = jsonMember(blob, key);
  if (!object || !object->is_object())
    return invalidInput("the model's chat template is of an older form: compile the model again");
  for (const auto &[name, value] : object->items())
    if (auto text = jsonString(value))
      map.emplace(name, *text);
  return {};
}

// An error's place is the template.
std::unexpected<Error> inTemplate(std::string_view name, Error error) {
  std::string which = name == "default" ? "" : " '" + std::string(name) + "'";
  return std::unexpected(Error{error.code, "chat template" + which + ": " + error.message});
}

} // namespace

Expected<ChatTemplates> ChatTemplates::fromBlob(std::string_view blob) {
  ChatTemplates read;
  if (blob.empty())
    return read;
  auto json = parseJson(blob, "chat template");
  if (!json)
    return invalidInput("the model's chat template is of an older form: compile the model again");
  LLMC_CHECK(readTexts(*json, "templates", read.templates));
  LLMC_CHECK(readTexts(*json, "tokens", read.tokens));
  return read;
}

std::string ChatTemplates::toBlob() const {
  if (empty())
    return {};
  return Json{{"templates", toObject(templates)}, {"tokens", toObject(tokens)}}.dump();
}

Expected<ChatTemplates::Chosen> ChatTemplates::choose(bool hasTools) const {
  auto found = hasTools ? templates.find("tool_use") : templates.end();
  if (found == templates.end())
    found = templates.find("default");
  if (found != templates.end())
    return Chosen{found->first, found->second};
  if (empty())
    return invalidInput("the model has no chat template: give one with --chat-template FILE, or use a plain prompt");
  std::string names;
  for (const auto &[name, text] : templates)
    names += (names.empty() ? "" : ", ") + quoteText(name, 40);
  return invalidInput("want a chat template called 'default', the model has " + names + ": give one with --chat-template FILE");
}

Expected<std::string> ChatTemplates::apply(const ChatRequest &request) const {
  jinja::Rendering rendering(request.limits);
  std::tm now = request.now ? *request.now : localNow();
  rendering.clock = [now](const std::string &format) { return formatClock(now, format); };
  LLMC_TRY(conversation, jinja::readConversation(rendering, request.request));
  LLMC_TRY(chosen, choose(conversation.hasTools));
  auto parsed = jinja::Template::parse(std::string(chosen.text));
  if (!parsed)
    return inTemplate(chosen.name, std::move(parsed.error()));

  // Later ones hide earlier ones: a request may set a token's text, too.
  jinja::Variables variables;
  for (const auto &[name, text] : tokens)
    variables.emplace_back(name, jinja::Value::of(text));
  variables.emplace_back("add_generation_prompt", jinja::Value::of(request.addGenerationPrompt));
  variables.insert(variables.end(), conversation.variables.begin(), conversation.variables.end());
  auto text = parsed->render(rendering, variables);
  if (!text)
    return inTemplate(chosen.name, std::move(text.error()));
  return std::move(*text);
}

} // namespace llmc
