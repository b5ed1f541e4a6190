#include "runtime/tools/ChatLoop.h"

#include "runtime/support/Json.h"

namespace llmc {
namespace {

constexpr int interruptedStatus = 130;
constexpr const char *help = "One line is one turn. /reset forgets the conversation, /exit (or the end of the input) leaves, Ctrl-C stops an answer. "
                             "A line that begins with // is sent with one / less.\n";

// Lines from a terminal or a file may end with \r\n.
std::string_view withoutLineEnd(std::string_view line) { return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line; }

bool isBlank(std::string_view line) { return line.find_first_not_of(" \t") == line.npos; }

} // namespace

ChatLoop::ChatLoop(ChatModel &model, ChatLoopOptions options, std::FILE *out, std::FILE *err)
    : model(model), options(std::move(options)), out(out), err(err) {
  if (!this->options.system.empty())
    messages.push_back({"system", this->options.system});
}

Expected<int> ChatLoop::run(std::istream &lines) {
  if (options.isInteractive)
    std::fputs(help, err);
  for (std::string line;;) {
    if (options.isInteractive)
      std::fputs("> ", err);
    if (!std::getline(lines, line))
      break;
    auto next = runLine(std::string(withoutLineEnd(line)));
    if (!next && !options.isInteractive)
      return std::unexpected(std::move(next.error()));
    if (!next)
      std::fprintf(err, "error: %s\n", next.error().message.c_str());
    else if (*next == Next::Stop)
      break;
  }
  return isCancelled && !options.isInteractive ? interruptedStatus : 0;
}

Expected<ChatLoop::Next> ChatLoop::runLine(const std::string &line) {
  if (isBlank(line))
    return Next::Turn;
  if (line.starts_with('/') && !line.starts_with("//"))
    return runCommand(line);
  LLMC_CHECK(runTurn(line.starts_with("//") ? line.substr(1) : line));
  bool stops = isOutputClosed || (isCancelled && !options.isInteractive);
  return stops ? Next::Stop : Next::Turn;
}

Expected<ChatLoop::Next> ChatLoop::runCommand(const std::string &command) {
  if (command == "/exit" || command == "/quit")
    return Next::Stop;
  if (command == "/reset" || command == "/clear") {
    LLMC_CHECK(reset());
    return Next::Turn;
  }
  if (command == "/help") {
    std::fputs(help, err);
    return Next::Turn;
  }
  return invalidInput(quoteText(command, 40) + ": no such command; there are /reset, /exit and /help; to send a line that begins with / write //");
}

Expected<void> ChatLoop::reset() {
  messages.clear();
  if (!options.system.empty())
    messages.push_back({"system", options.system});
  return model.clear();
}

// A turn that fails leaves the conversation as it was.
Expected<void> ChatLoop::runTurn(const std::string &text) {
  if (!isUtf8(text))
    return invalidInput("want UTF-8 text, got " + quoteText(text, 40));
  messages.push_back({"user", text});
  auto answered = answer();
  if (!answered)
    messages.pop_back();
  return answered;
}

Expected<void> ChatLoop::answer() {
  LLMC_TRY(prompt, model.applyTemplate(request()));
  std::string text;
  LLMC_TRY(stats, model.answer(prompt, [&](std::string_view piece) {
    text += piece;
    isOutputClosed |= std::fwrite(piece.data(), 1, piece.size(), out) != piece.size() || std::fflush(out) != 0;
    return !isOutputClosed;
  }));
  std::fputs("\n", out);
  std::fflush(out); // before the figures
  isCancelled = stats.finish == LLMC_FINISH_CANCELLED;
  messages.push_back({"assistant", text});
  if (stats.finish == LLMC_FINISH_CONTEXT)
    std::fputs("the context is full: /reset begins anew, -c N gives more room\n", err);
  if (!options.isQuiet)
    tellFigures(stats);
  return {};
}

// Role before content: templates may print a message as it is.
std::string ChatLoop::request() const {
  std::string list = "[";
  for (const Message &message : messages)
    list += (list.size() > 1 ? ", " : "") + ("{\"role\": " + Json(message.role).dump()) + ", \"content\": " + Json(message.content).dump() + "}";
  return list + "]";
}

void ChatLoop::tellFigures(const llmc_generate_stats &stats) const {
  std::fprintf(err, "[%lld tokens, %lld of them cached, %.1f tokens/s; answer %lld tokens, %.1f tokens/s%s]\n",
               static_cast<long long>(stats.prompt_tokens), static_cast<long long>(stats.cached_tokens), stats.prompt_tokens_per_second,
               static_cast<long long>(stats.generated_tokens), stats.tokens_per_second,
               stats.finish == LLMC_FINISH_CANCELLED ? "; interrupted"
               : stats.finish == LLMC_FINISH_LENGTH  ? "; cut at -n"
                                                     : "");
}

} // namespace llmc
