// A conversation at a terminal or through a pipe: one line a turn. Shared by llmc chat and llmc-run --chat.
//
// Each turn renders the whole conversation by the model's template and generates from that text. What the sequence holds already of
// it is not evaluated again: the answers of earlier turns cost nothing, unless the template drops parts of them.
#pragma once

#include "llmc/llmc.h"
#include "runtime/support/Error.h"

#include <cstdio>
#include <functional>
#include <istream>
#include <string>
#include <vector>

namespace llmc {

// The model, as the loop needs it.
class ChatModel {
public:
  using OnText = std::function<bool(std::string_view)>; // false: stop

  virtual ~ChatModel() = default;
  // A request of llmc_chat_options as text.
  virtual Expected<std::string> applyTemplate(const std::string &request) = 0;
  // Generates after `prompt`, whose text of special tokens is their ids. Ctrl-C ends it with LLMC_FINISH_CANCELLED.
  virtual Expected<llmc_generate_stats> answer(const std::string &prompt, const OnText &onText) = 0;
  virtual Expected<void> clear() = 0;
};

struct ChatLoopOptions {
  std::string system;         // the first message, if it is not empty
  bool isInteractive = false; // somebody types: prompts, and mistakes do not end it
  bool isQuiet = false;       // no figures
};

class ChatLoop {
public:
  // Answers go to `out`, all else to `err`.
  ChatLoop(ChatModel &model, ChatLoopOptions options, std::FILE *out = stdout, std::FILE *err = stderr);

  // Until the lines end, or /exit. Returns an exit status. Errors, unless somebody types: of the template or the model, which end it.
  Expected<int> run(std::istream &lines);

private:
  enum class Next { Turn, Stop };
  struct Message {
    std::string role, content;
  };

  Expected<Next> runLine(const std::string &line);
  Expected<Next> runCommand(const std::string &command);
  Expected<void> reset();
  Expected<void> runTurn(const std::string &text);
  Expected<void> answer();
  std::string request() const;
  void tellFigures(const llmc_generate_stats &stats) const;

  ChatModel &model;
  ChatLoopOptions options;
  std::FILE *out, *err;
  std::vector<Message> messages;
  bool isOutputClosed = false, isCancelled = false;
};

} // namespace llmc
