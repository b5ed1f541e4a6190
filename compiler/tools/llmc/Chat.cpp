// llmc chat: a conversation with a model.
#include "compiler/tools/llmc/Interrupt.h"
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Verbs.h"
#include "runtime/tools/ApiChatModel.h"
#include "runtime/tools/SamplerFlags.h"

#include <iostream>
#include <unistd.h>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct ChatOptions {
  ModelOptions model;
  ContextOptions context;
  SamplerFlags sampler;
  std::string system, templateFile;
  int64_t count = -1;
  std::vector<std::string> stop;
  bool showSpecial = false, quiet = false;
};

class InterruptibleChat final : public ApiChatModel {
public:
  InterruptibleChat(const Model &model, llmc_context *context, ApiChatOptions options)
      : ApiChatModel(model.api(), model.handle(), context, std::move(options)), api(model.api()), context(context) {}

private:
  Expected<void> interruptible(const std::function<Expected<void>()> &work) override {
    forgetInterrupt();
    CancelScope scope(api, context);
    return work();
  }

  const llmc_api &api;
  llmc_context *context;
};

absl::StatusOr<ApiChatOptions> modelOptions(ChatOptions &options, const Model &model) {
  ApiChatOptions how;
  if (!options.templateFile.empty()) {
    LLMC_ASSIGN(text, readInput(options.templateFile));
    how.chatTemplate = std::move(text);
  }
  llmc_sampler_options defaults{};
  defaults.struct_size = sizeof defaults;
  llmc_error *error = nullptr;
  LLMC_RETURN_IF_ERROR(model.status(model.api().sampler_defaults(model.handle(), &defaults, &error), error));
  how.sampler = options.sampler.over(defaults);
  how.maxTokens = std::max<int64_t>(options.count, 0);
  how.stops = options.stop;
  how.showsSpecial = options.showSpecial;
  return how;
}

// Known before anybody has typed.
absl::Status checkCanChat(const ChatOptions &options, const Model &model) {
  if (!model.info().has_tokenizer)
    return invalidArgument(options.model.model + ": has no tokenizer: it can't chat");
  if (!model.info().has_chat_template && options.templateFile.empty())
    return invalidArgument(options.model.model + ": has no chat template: give one with --chat-template FILE, or use llmc run");
  return absl::OkStatus();
}

absl::Status chat(ChatOptions &options) {
  if (options.count == 0 || options.count < -1)
    return invalidArgument("-n: want a number of tokens, or -1 for as many as the model writes, got " + std::to_string(options.count));
  LLMC_ASSIGN(model, openModel(options.model));
  LLMC_RETURN_IF_ERROR(checkCanChat(options, *model));
  LLMC_ASSIGN(how, modelOptions(options, *model));
  LLMC_ASSIGN(context, Context::create(*model, {.context = options.context.context,
                                                .slots = options.sampler.beams(),
                                                .threads = options.context.threads}));
  InterruptibleChat talker(*model, context->handle(), std::move(how));
  ChatLoop loop(talker, {.system = options.system, .isInteractive = isatty(STDIN_FILENO) == 1, .isQuiet = options.quiet});
  LLMC_ASSIGN(status, toStatus(loop.run(std::cin)));
  return status ? absl::CancelledError("interrupted") : absl::OkStatus();
}

} // namespace

void tools::addChat(CLI::App &program, Action &chosen) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App *verb = program.add_subcommand("chat", "Converse with a model");
  addModelOptions(*verb, options->model);
  verb->add_option("--system,--system-prompt", options->system, "The system message that begins the conversation");
  verb->add_option("--chat-template", options->templateFile, "A file with a Jinja template instead of the model's own");
  verb->add_option("-n,--n-predict", options->count, "Tokens of an answer at most; -1 (default): until the model stops or the context is full");
  addContextOptions(*verb, options->context);
  options->sampler.add(*verb);
  verb->add_option("--stop,-r,--reverse-prompt", options->stop, "Text that ends an answer; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_flag("--show-special", options->showSpecial, "Print special tokens as their text");
  verb->add_flag("-q,--quiet", options->quiet, "Print no speeds");
  verb->footer("Each line of standard input is a turn. /reset forgets the conversation, /exit or the end of the input leaves, Ctrl-C stops an "
               "answer; a line that begins with // is sent with one / less. In a pipe the first error ends the work.\n"
               "\n"
               "Examples:\n"
               "  llmc chat model.gguf --system 'You are terse.'\n"
               "  printf 'Hello\\nAnd now in French\\n' | llmc chat model.so -q --temp 0");
  verb->callback([=, &chosen] { chosen = [=] { return chat(*options); }; });
}
