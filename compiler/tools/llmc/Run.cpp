// llmc run: continues a prompt.
#include "compiler/tools/llmc/Interrupt.h"
#include "compiler/tools/llmc/Npy.h"
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Verbs.h"

#include <cstdio>
#include <filesystem>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct RunOptions {
  ModelOptions model;
  ContextOptions context;
  TokenOptions tokens;
  std::string prompt, file, stepLogits, session;
  CLI::Option *promptGiven = nullptr;
  int64_t count = -1;
  llmc_sampler_options sampler{};
  std::vector<CLI::Option *> samplerGiven;
  std::vector<std::string> stop;
  bool ids = false, json = false, ignoreEos = false, noSpecial = false, parseSpecial = false, showSpecial = false, quiet = false;
  std::unique_ptr<Unsupported> refused;
};

// What the callbacks of llmc_generate fill.
struct Output {
  const RunOptions &options;
  NpyWriter *stepLogits;
  Progress progress;
  std::vector<int32_t> ids;
  std::string text;
};

int32_t onText(void *user, const char *text, int64_t bytes) {
  auto *output = static_cast<Output *>(user);
  if (output->options.json) {
    output->text.append(text, size_t(bytes));
    return 0;
  }
  fwrite(text, 1, size_t(bytes), stdout);
  return fflush(stdout); // a closed pipe ends the work
}

int32_t onToken(void *user, int32_t token, const float *logits, int64_t) {
  auto *output = static_cast<Output *>(user);
  output->progress.finish();
  output->ids.push_back(token);
  if (output->stepLogits)
    output->stepLogits->append(logits, 1);
  return 0;
}

int32_t onPrompt(void *user, int64_t done, int64_t total) {
  static_cast<Output *>(user)->progress.update("reading the prompt", double(done) / double(total));
  return 0;
}

// ---- The prompt -----------------------------------------------------------------------------------------------------

struct Prompt {
  std::string text;
  std::vector<int32_t> tokens; // instead of text, if not empty
};

absl::StatusOr<Prompt> readPrompt(const RunOptions &options) {
  int ways = int(options.promptGiven->count() > 0) + int(!options.file.empty()) + int(options.tokens.given());
  if (ways != 1)
    return invalidArgument(ways ? "want one prompt, got several: give one of -p, -f, --tokens, --tokens-file"
                                : "want a prompt: -p TEXT, -f FILE, --tokens IDS or --tokens-file FILE");
  Prompt prompt;
  if (options.tokens.given()) {
    LLMC_ASSIGN(tokens, readTokens(options.tokens));
    prompt.tokens = std::move(tokens);
  } else if (!options.file.empty()) {
    LLMC_ASSIGN(text, readInput(options.file));
    prompt.text = std::move(text);
  } else {
    prompt.text = options.prompt;
  }
  return prompt;
}

// The model's own choice but for what was given.
absl::StatusOr<llmc_sampler_options> samplerOptions(const RunOptions &options, const Model &model) {
  llmc_sampler_options result{};
  result.struct_size = sizeof result;
  llmc_error *error = nullptr;
  LLMC_RETURN_IF_ERROR(model.status(model.api().sampler_defaults(model.handle(), &result, &error), error));
  const llmc_sampler_options &own = options.sampler;
  auto given = [&](const char *name) {
    for (CLI::Option *option : options.samplerGiven)
      if (option->check_lname(name))
        return option->count() > 0;
    return false;
  };
  if (given("temp"))
    result.temperature = own.temperature;
  if (given("top-k"))
    result.top_k = own.top_k;
  if (given("top-p"))
    result.top_p = own.top_p;
  if (given("min-p"))
    result.min_p = own.min_p;
  if (given("repeat-penalty"))
    result.repeat_penalty = own.repeat_penalty;
  if (given("repeat-last-n"))
    result.repeat_last_n = own.repeat_last_n;
  if (given("seed") && own.seed != UINT64_MAX) // -1: as if it were not given
    result.seed = own.seed;
  return result;
}

// ---- Generating -----------------------------------------------------------------------------------------------------

const char *finishName(int32_t finish) {
  switch (finish) {
  case LLMC_FINISH_LENGTH:
    return "length";
  case LLMC_FINISH_EOS:
    return "end of text";
  case LLMC_FINISH_STOP:
    return "stop string";
  case LLMC_FINISH_CONTEXT:
    return "context full";
  case LLMC_FINISH_CANCELLED:
    return "interrupted";
  default:
    return "output closed";
  }
}

void printStats(const llmc_generate_stats &stats) {
  fprintf(stderr, "prompt: %lld tokens, %lld of them cached, %.1f tokens/s; first token after %.0f ms; generated: %lld tokens, %.1f tokens/s; ended by: %s\n",
          static_cast<long long>(stats.prompt_tokens), static_cast<long long>(stats.cached_tokens), stats.prompt_tokens_per_second,
          stats.first_token_ms, static_cast<long long>(stats.generated_tokens), stats.tokens_per_second, finishName(stats.finish));
}

void printResult(const Output &output) {
  if (output.options.json) {
    Json result{{"sequences", {output.ids}}};
    if (!output.text.empty())
      result["text"] = output.text;
    printf("%s\n", result.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    printf("%s\n", output.options.ids ? joinIds(output.ids, ",").c_str() : "");
  }
  fflush(stdout); // before the figures
}

absl::Status generate(const RunOptions &options, const Prompt &prompt, Context &context, Output &output) {
  const Model &model = context.model();
  LLMC_ASSIGN(sampler, samplerOptions(options, model));
  std::vector<const char *> stop;
  for (const std::string &text : options.stop)
    stop.push_back(text.c_str());
  llmc_generate_options request{};
  request.struct_size = sizeof request;
  if (prompt.tokens.empty()) {
    request.prompt = prompt.text.data();
    request.prompt_bytes = int64_t(prompt.text.size());
  } else {
    request.tokens = prompt.tokens.data();
    request.token_count = int64_t(prompt.tokens.size());
  }
  request.flags = (options.noSpecial ? LLMC_NO_SPECIAL : 0) | (options.parseSpecial ? LLMC_PROMPT_SPECIAL : 0) |
                  (options.ignoreEos ? LLMC_IGNORE_EOS : 0) | (options.showSpecial ? LLMC_SHOW_SPECIAL : 0) |
                  (output.stepLogits ? 0 : LLMC_NO_LOGITS);
  request.max_tokens = std::max<int64_t>(options.count, 0);
  request.sampler = &sampler;
  request.stop = stop.data();
  request.stop_count = int64_t(stop.size());
  request.on_text = model.info().has_tokenizer && !options.ids ? onText : nullptr;
  request.on_token = onToken;
  request.on_prompt = onPrompt;
  request.user = &output;
  llmc_generate_stats stats{};
  stats.struct_size = sizeof stats;
  llmc_error *error = nullptr;
  CancelScope scope(model.api(), context.handle());
  LLMC_RETURN_IF_ERROR(model.status(model.api().generate(context.handle(), &request, &stats, &error), error));
  output.progress.finish();
  printResult(output);
  if (!options.quiet)
    printStats(stats);
  return stats.finish == LLMC_FINISH_CANCELLED ? absl::CancelledError("interrupted") : absl::OkStatus();
}

// ---- Sessions -------------------------------------------------------------------------------------------------------

absl::Status readSession(Context &context, const std::string &path) {
  if (path.empty() || !std::filesystem::exists(path))
    return absl::OkStatus();
  llmc_error *error = nullptr;
  return context.model().status(context.model().api().state_restore_file(context.handle(), 0, path.c_str(), &error), error);
}

absl::Status writeSession(Context &context, const std::string &path) {
  if (path.empty())
    return absl::OkStatus();
  llmc_error *error = nullptr;
  return context.model().status(context.model().api().state_save_file(context.handle(), 0, path.c_str(), &error), error);
}

absl::Status run(const RunOptions &options) {
  LLMC_RETURN_IF_ERROR(options.refused->check());
  if (options.count == 0 || options.count < -1)
    return invalidArgument("-n: want a number of tokens, or -1 for as many as the model writes, got " + std::to_string(options.count));
  LLMC_ASSIGN(prompt, readPrompt(options));
  LLMC_ASSIGN(model, openModel(options.model));
  if (!model->info().has_tokenizer && (prompt.tokens.empty() || !(options.ids || options.json)))
    return invalidArgument(options.model.model + ": has no tokenizer: give --tokens and --ids");
  LLMC_ASSIGN(context, Context::create(*model, options.context.context, options.context.threads));
  std::unique_ptr<NpyWriter> stepLogits;
  if (!options.stepLogits.empty()) {
    LLMC_ASSIGN(writer, NpyWriter::create(options.stepLogits, model->info().vocab));
    stepLogits = std::move(writer);
  }
  Output output{options, stepLogits.get(), {}, {}, {}};
  LLMC_RETURN_IF_ERROR(readSession(*context, options.session));
  absl::Status generated = generate(options, prompt, *context, output);
  if (generated.ok() || absl::IsCancelled(generated))
    LLMC_RETURN_IF_ERROR(writeSession(*context, options.session));
  LLMC_RETURN_IF_ERROR(generated);
  return stepLogits ? stepLogits->finish() : absl::OkStatus();
}

void addSamplerOptions(CLI::App &verb, RunOptions &options) {
  llmc_sampler_options &sampler = options.sampler;
  auto add = [&](const char *name, auto &value, const char *what) {
    options.samplerGiven.push_back(verb.add_option(name, value, what)->group("Sampling (defaults: the model's own)"));
  };
  add("--temp", sampler.temperature, "Temperature; 0: always the likeliest token");
  add("--top-k", sampler.top_k, "Of the K likeliest tokens; 0: off");
  add("--top-p", sampler.top_p, "Of the likeliest tokens that make up P; 1: off");
  add("--min-p", sampler.min_p, "Of tokens at least P times as likely as the likeliest; 0: off");
  add("--repeat-penalty", sampler.repeat_penalty, "Divides logits of recent tokens; 1: off");
  add("--repeat-last-n", sampler.repeat_last_n, "Tokens that the penalty looks back on; -1: all");
  add("--seed,-s", sampler.seed, "Draws the same tokens again; -1: others each time");
}

} // namespace

void tools::addRun(CLI::App &program, Action &chosen) {
  auto options = std::make_shared<RunOptions>();
  CLI::App *verb = program.add_subcommand("run", "Continue a prompt");
  addModelOptions(*verb, options->model);
  options->promptGiven = verb->add_option("-p,--prompt", options->prompt, "The prompt");
  verb->add_option("-f,--file", options->file, "A file with the prompt ('-': standard input)");
  addTokenOptions(*verb, options->tokens);
  verb->add_option("-n,--n-predict", options->count, "Tokens to generate; -1 (default): until the model stops or the context is full");
  addContextOptions(*verb, options->context);
  addSamplerOptions(*verb, *options);
  verb->add_option("--session,--prompt-cache", options->session,
                   "File that keeps the evaluated tokens: read if it is there, written at the end");
  verb->add_option("--stop,-r,--reverse-prompt", options->stop, "Text that ends the output; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb->add_flag("--ignore-eos", options->ignoreEos, "Go on after a token that ends the text");
  verb->add_flag("--no-special", options->noSpecial, "Add no BOS or EOS to the prompt");
  verb->add_flag("--parse-special", options->parseSpecial, "The text of special tokens in the prompt becomes their ids");
  verb->add_flag("--show-special", options->showSpecial, "Print special tokens as their text");
  verb->add_flag("--ids", options->ids, "Print token ids instead of text: one line, comma-separated");
  verb->add_flag("--json", options->json, "Print {\"sequences\": [[ids]], \"text\": …}");
  verb->add_option("--step-logits", options->stepLogits, "Write the logits that chose each token to this .npy file");
  verb->add_flag("-q,--quiet", options->quiet, "Print no speeds");
  options->refused = std::make_unique<Unsupported>(
      *verb, std::initializer_list<Unsupported::Option>{{"--beams", "beam search is"},
                                                        {"--grammar", "grammars are"},
                                                        {"--json-schema", "JSON schemas are"},
                                                        {"--lora", "adapters are"},
                                                        {"--no-repeat-ngram", "blocking of repeated n-grams is"},
                                                        {"--decoder-tokens-file", "encoder-decoder models are"}});
  verb->footer("Examples:\n"
               "  llmc run model.gguf -p 'The capital of France is' -n 32 --temp 0\n"
               "  llmc run model.so -f prompt.txt --top-p 0.9 --seed 1\n"
               "  llmc run model.so --tokens 2,651 -n 8 --temp 0 --ids");
  verb->callback([=, &chosen] { chosen = [=] { return run(*options); }; });
}
