// llmc-run: generates from a compiled model where no compiler is. It opens the library at run time and calls its C ABI,
// nothing else of ours runs here.
#include "llmc/loader.h"
#include "runtime/support/Files.h"
#include "runtime/support/Json.h"
#include "runtime/tools/ApiChatModel.h"
#include "runtime/tools/DraftModel.h"
#include "runtime/tools/SamplerFlags.h"
#include "runtime/tools/Sequences.h"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <limits>
#include <unistd.h>

using namespace llmc;

namespace {

constexpr size_t maxPromptBytes = size_t(1) << 30;
constexpr int interruptedStatus = 130;

struct Options {
  std::string model, weights, isa, device;
  std::string prompt, promptFile, tokensFile, session, system, templateFile;
  std::vector<int32_t> tokens;
  llmc_context_options context{sizeof(llmc_context_options), 0, 0, 0, 0};
  SamplerFlags sampler;
  int32_t hugePages = LLMC_HUGE_PAGES_AUTO;
  int64_t count = -1;
  std::vector<std::string> stops;
  bool ids = false, ignoreEos = false, noSpecial = false, parseSpecial = false, showSpecial = false, quiet = false, chat = false;
};

void addOptions(CLI::App &app, Options &options) {
  app.add_option("MODEL", options.model, "A compiled model (.so)")->required();
  auto *prompt = app.add_option_group("Prompt", "One of these");
  prompt->add_option("-p,--prompt", options.prompt, "Text");
  prompt->add_option("-f,--file", options.promptFile, "File with the text");
  prompt->add_option("--tokens", options.tokens, "Token ids: 1,2,3; nothing is added to them")->delimiter(',');
  prompt->add_option("--tokens-file", options.tokensFile, "JSON list of token ids");
  auto *chat = prompt->add_flag("--chat", options.chat, "Converse: each line of standard input is a turn; /reset, /exit");
  prompt->require_option(1);
  app.add_option("--system,--system-prompt", options.system, "With --chat: the system message")->needs(chat);
  app.add_option("--chat-template", options.templateFile, "With --chat: a file with a Jinja template instead of the model's own")->needs(chat);
  app.add_option("--session,--prompt-cache", options.session,
                 "File that keeps the evaluated tokens: read if it is there, written at the end");
  app.add_flag("--no-special", options.noSpecial, "Add no BOS or EOS to the text");
  app.add_flag("--parse-special", options.parseSpecial, "Read special tokens' text as tokens");
  app.add_option("-n,--predict", options.count, "Tokens to generate; below 1: until the model stops");
  app.add_option("--stop", options.stops, "Text that ends the generation; may be repeated")
      ->take_all()
      ->allow_extra_args(false);
  app.add_flag("--ignore-eos", options.ignoreEos, "Go on after the end of the text");
  app.add_flag("--ids", options.ids, "Print token ids, comma-separated, instead of text");
  app.add_flag("--show-special", options.showSpecial, "Print special tokens too");
  app.add_flag("-q,--quiet", options.quiet, "Print no figures");
  app.add_option("-t,--threads", options.context.threads, "Worker threads (default: the CPUs of this process)");
  app.add_option("-c,--ctx-size", options.context.context, "Positions of the context (default: the model's)");
  app.add_option("--huge-pages", options.hugePages, "Weights in huge pages once the first step is done: auto, on, off")
      ->transform(CLI::CheckedTransformer(std::map<std::string, int32_t>{
          {"auto", LLMC_HUGE_PAGES_AUTO}, {"on", LLMC_HUGE_PAGES_ON}, {"off", LLMC_HUGE_PAGES_OFF}}).description(""))
      ->type_name("auto|on|off");
  app.add_option("--weights", options.weights, "Packed weight file (default: what the library names)");
  app.add_option("--isa", options.isa, "Instruction set level inside the library (default: the best)");
  app.add_option("--device", options.device, "Where it runs: auto (a GPU if the library has code for one that is there), cpu, cuda, cuda:N; cuda/graph or "
                                             "cuda/persistent choose how a step is launched");
}

Expected<std::vector<int32_t>> readTokens(const std::string &path) {
  LLMC_TRY(text, readTextFile(path, maxPromptBytes));
  LLMC_TRY(list, parseJson(text, path));
  if (!list.is_array())
    return invalidInput(path + ": want a JSON list of token ids");
  std::vector<int32_t> ids;
  for (const Json &item : list) {
    auto id = jsonInt(item);
    if (!id || *id < 0 || *id > std::numeric_limits<int32_t>::max())
      return invalidInput(path + ": element " + std::to_string(ids.size()) + ": want a token id");
    ids.push_back(int32_t(*id));
  }
  if (ids.empty())
    return invalidInput(path + ": want at least one token id, the list is empty");
  return ids;
}

// The prompt from wherever it comes: afterwards it is in `prompt` or `tokens`.
Expected<void> readPrompt(Options &options) {
  if (!options.promptFile.empty()) {
    LLMC_TRY(text, readTextFile(options.promptFile, maxPromptBytes));
    options.prompt = std::move(text);
  }
  if (!options.tokensFile.empty()) {
    LLMC_TRY(ids, readTokens(options.tokensFile));
    options.tokens = std::move(ids);
  }
  return {};
}

// Frees what was opened, in order.
struct Session {
  llmc_api api{};
  llmc_model_handle *model = nullptr;
  llmc_context *context = nullptr;

  ~Session() {
    if (!api.library)
      return;
    api.context_free(context);
    api.model_close(model);
    llmc_api_close(&api);
  }
  // Calls a function whose last argument is the error.
  template <class Function, class... Arguments> Expected<void> call(Function function, Arguments... arguments) {
    llmc_error *error = nullptr;
    int32_t code = function(arguments..., &error);
    if (code == LLMC_OK)
      return {};
    std::string message = error ? api.error_message(error) : "out of memory";
    api.error_free(error);
    return std::unexpected(Error{ErrorCode(code), message});
  }
};

// dlopen searches the system's folders for a name without a slash; a user means a file.
Expected<void> openLibrary(Session &session, const std::string &name) {
  std::string path = name.find('/') == std::string::npos ? "./" + name : name;
  char message[1024];
  if (llmc_api_open(path.c_str(), &session.api, message, sizeof message))
    return invalidInput(message);
  return {};
}

Expected<void> open(Session &session, Options &options) {
  LLMC_CHECK(openLibrary(session, options.model));
  llmc_open_options how{sizeof how, options.weights.empty() ? nullptr : options.weights.c_str(),
                        options.isa.empty() ? nullptr : options.isa.c_str(), options.hugePages,
                        options.device.empty() ? nullptr : options.device.c_str()};
  LLMC_CHECK(session.call(session.api.model_open, &how, &session.model));
  llmc_context_options context = options.context;
  context.slots = options.sampler.slots();
  return session.call(session.api.context_create, session.model, &context, &session.context);
}

// The model that guesses, if one was named: its context is no longer than it can be.
Expected<void> openDraft(Session &draft, const Session &session, const Options &options) {
  LLMC_CHECK(openLibrary(draft, options.sampler.draft));
  llmc_open_options how{};
  how.struct_size = sizeof how;
  how.huge_pages = options.hugePages;
  how.device = options.device.empty() ? nullptr : options.device.c_str();
  LLMC_CHECK(draft.call(draft.api.model_open, &how, &draft.model));
  LLMC_CHECK(checkSameVocabulary(session.api, session.model, draft.api, draft.model));
  llmc_context_info large{};
  llmc_model_info own{};
  large.struct_size = sizeof large;
  own.struct_size = sizeof own;
  session.api.context_get_info(session.context, &large, nullptr);
  draft.api.model_get_info(draft.model, &own, nullptr);
  llmc_context_options context = options.context;
  context.context = std::min(large.context, own.context);
  return draft.call(draft.api.context_create, draft.model, &context, &draft.context);
}

Expected<void> readSession(Session &session, Options &options) {
  if (options.session.empty() || !std::filesystem::exists(options.session))
    return {};
  return session.call(session.api.state_restore_file, session.context, 0, options.session.c_str());
}

Expected<void> writeSession(Session &session, Options &options) {
  if (options.session.empty())
    return {};
  return session.call(session.api.state_save_file, session.context, 0, options.session.c_str());
}

Session *interruptible = nullptr;

// The first Ctrl-C ends the generation, the next one finds the default action.
void onInterrupt(int) {
  std::signal(SIGINT, SIG_DFL);
  interruptible->api.set_cancel(interruptible->context, 1);
}

int32_t printText(void *, const char *text, int64_t bytes) {
  bool written = std::fwrite(text, 1, size_t(bytes), stdout) == size_t(bytes) && std::fflush(stdout) == 0;
  return !written;
}

struct Output {
  bool some = false; // an id was printed
  Sequences sequences;
};

int32_t printId(void *user, int32_t id, const float *, int64_t) {
  bool &some = static_cast<Output *>(user)->some;
  std::printf(some ? ",%d" : "%d", id);
  some = true;
  return std::fflush(stdout) != 0;
}

int32_t keepSequence(void *user, const llmc_sequence *sequence) {
  static_cast<Output *>(user)->sequences.add(*sequence);
  return 0;
}

// What was not printed as it came.
void printRest(const Output &output, const Options &options) {
  if (options.sampler.wantsVote())
    std::printf("%s\n", output.sequences.answer().c_str());
  else
    std::fputs(options.sampler.wantsSamples() ? output.sequences.listing(options.ids).c_str() : "\n", stdout);
  std::fflush(stdout); // before the figures
  std::fputs(output.sequences.votesText().c_str(), stderr);
}

const char *finishName(int32_t finish) {
  static constexpr const char *names[] = {
      "", "length", "end of text", "stop string", "context full", "output closed", "interrupted"};
  return finish >= 0 && finish < int32_t(std::size(names)) ? names[finish] : "";
}

void printFigures(const llmc_generate_stats &stats) {
  std::fprintf(stderr,
               "prompt %lld tokens, %lld of them cached, %.1f tokens/s | first token %.1f ms | generated %lld tokens, %.1f tokens/s | "
               "seed %llu | %s\n",
               static_cast<long long>(stats.prompt_tokens), static_cast<long long>(stats.cached_tokens),
               stats.prompt_tokens_per_second, stats.first_token_ms,
               static_cast<long long>(stats.generated_tokens), stats.tokens_per_second,
               static_cast<unsigned long long>(stats.seed), finishName(stats.finish));
  if (std::string guesses = SamplerFlags::guessText(stats); !guesses.empty())
    std::fprintf(stderr, "%s\n", guesses.c_str());
}

uint32_t flagsOf(Options &options) {
  return (options.noSpecial ? LLMC_NO_SPECIAL : 0) | (options.parseSpecial ? LLMC_PROMPT_SPECIAL : 0) |
         (options.ignoreEos ? LLMC_IGNORE_EOS : 0) | (options.showSpecial ? LLMC_SHOW_SPECIAL : 0) | LLMC_NO_LOGITS;
}

Expected<llmc_sampler_options> samplerOf(Session &session, Options &options) {
  llmc_sampler_options sampler{};
  sampler.struct_size = sizeof sampler;
  LLMC_CHECK(session.call(session.api.sampler_defaults, session.model, &sampler));
  return options.sampler.over(sampler);
}

Expected<int> generate(Session &session, Options &options) {
  LLMC_TRY(sampler, samplerOf(session, options));
  std::vector<const char *> stops;
  for (const std::string &stop : options.stops)
    stops.push_back(stop.c_str());
  Output output;
  Session small;
  llmc_draft draft{};
  llmc_generate_options request{};
  request.struct_size = sizeof request;
  request.prompt = options.tokens.empty() ? options.prompt.c_str() : nullptr;
  request.prompt_bytes = options.tokens.empty() ? int64_t(options.prompt.size()) : 0;
  request.tokens = options.tokens.empty() ? nullptr : options.tokens.data();
  request.token_count = int64_t(options.tokens.size());
  request.flags = flagsOf(options);
  request.max_tokens = options.count;
  request.sampler = &sampler;
  request.stop = stops.data();
  request.stop_count = int64_t(stops.size());
  request.user = &output;
  request.on_sequence = keepSequence;
  options.sampler.describe(request);
  if (!options.sampler.draft.empty()) {
    LLMC_CHECK(openDraft(small, session, options));
    draft = draftOf(small.api, small.model, small.context, options.sampler.draftTokens, options.sampler.draftMinProbability);
    request.draft = &draft;
  }
  if (options.ids && !options.sampler.wantsSamples())
    request.on_token = printId;
  else if (!options.sampler.wantsSamples())
    request.on_text = printText;
  llmc_generate_stats stats{};
  stats.struct_size = sizeof stats;
  LLMC_CHECK(session.call(session.api.generate, session.context, &request, &stats));
  printRest(output, options);
  if (!options.quiet)
    printFigures(stats);
  return stats.finish == LLMC_FINISH_CANCELLED ? interruptedStatus : 0;
}

class InterruptibleChat final : public ApiChatModel {
public:
  using ApiChatModel::ApiChatModel;

private:
  Expected<void> interruptible(const std::function<Expected<void>()> &work) override {
    std::signal(SIGINT, onInterrupt);
    auto done = work();
    std::signal(SIGINT, SIG_DFL);
    return done;
  }
};

Expected<int> chat(Session &session, Options &options) {
  if (options.sampler.wantsSamples() || options.sampler.wantsVote() || !options.sampler.draft.empty())
    return invalidInput("--chat: takes no --samples, --vote or --draft; leave them out");
  ApiChatOptions how;
  if (!options.templateFile.empty()) {
    LLMC_TRY(text, readTextFile(options.templateFile, maxPromptBytes));
    how.chatTemplate = std::move(text);
  }
  LLMC_TRY(sampler, samplerOf(session, options));
  how.sampler = sampler;
  how.maxTokens = std::max<int64_t>(options.count, 0);
  how.stops = options.stops;
  how.showsSpecial = options.showSpecial;
  InterruptibleChat model(session.api, session.model, session.context, std::move(how));
  ChatLoop loop(model, {.system = options.system, .isInteractive = isatty(STDIN_FILENO) == 1, .isQuiet = options.quiet});
  return loop.run(std::cin);
}

Expected<int> generateInterruptibly(Session &session, Options &options) {
  std::signal(SIGINT, onInterrupt);
  auto status = generate(session, options);
  std::signal(SIGINT, SIG_DFL);
  return status;
}

Expected<int> run(Options &options) {
  LLMC_CHECK(readPrompt(options));
  Session session;
  LLMC_CHECK(open(session, options));
  LLMC_CHECK(readSession(session, options));
  interruptible = &session;
  auto status = options.chat ? chat(session, options) : generateInterruptibly(session, options);
  if (status)
    LLMC_CHECK(writeSession(session, options));
  return status;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app("Generates text with a compiled model", "llmc-run");
  Options options;
  addOptions(app, options);
  options.sampler.add(app);
  options.sampler.addSeveral(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
  auto status = run(options);
  if (status)
    return *status;
  std::fprintf(stderr, "error: %s\n", status.error().message.c_str());
  return int(status.error().code);
}
