// llmc run: continues a prompt.
#include "compiler/tools/llmc/Interrupt.h"
#include "compiler/tools/llmc/Npy.h"
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Verbs.h"
#include "runtime/tools/DraftModel.h"
#include "runtime/tools/SamplerFlags.h"
#include "runtime/tools/Sequences.h"

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
  SamplerFlags sampler;
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
  Sequences sequences; // of beam search, samples
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

int32_t onSequence(void *user, const llmc_sequence *sequence) {
  static_cast<Output *>(user)->sequences.add(*sequence);
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

absl::StatusOr<llmc_sampler_options> samplerOptions(RunOptions &options, const Model &model) {
  llmc_sampler_options defaults{};
  defaults.struct_size = sizeof defaults;
  llmc_error *error = nullptr;
  LLMC_RETURN_IF_ERROR(model.status(model.api().sampler_defaults(model.handle(), &defaults, &error), error));
  return options.sampler.over(defaults);
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
  if (std::string guesses = SamplerFlags::guessText(stats); !guesses.empty())
    fprintf(stderr, "%s\n", guesses.c_str());
}

void printResult(const Output &output) {
  if (output.options.json) {
    Json result{{"sequences", {output.ids}}};
    if (!output.sequences.empty())
      result = output.sequences.json();
    if (!output.text.empty())
      result["text"] = output.text;
    printf("%s\n", result.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  } else if (output.options.sampler.wantsVote()) {
    printf("%s\n", output.sequences.answer().c_str());
  } else if (output.options.sampler.wantsSamples()) {
    fputs(output.sequences.listing(output.options.ids).c_str(), stdout);
  } else {
    printf("%s\n", output.options.ids ? joinIds(output.ids, ",").c_str() : "");
  }
  fflush(stdout); // before the figures
  fputs(output.sequences.votesText().c_str(), stderr);
}

// A model that guesses, and its context; empty if none was named.
struct Draft {
  std::unique_ptr<Model> model;
  std::unique_ptr<Context> context;
  llmc_draft draft{};
};

absl::StatusOr<Draft> openDraft(const RunOptions &options, const Context &context) {
  Draft result;
  if (options.sampler.draft.empty())
    return result;
  ModelOptions smaller = options.model;
  smaller.model = options.sampler.draft;
  LLMC_ASSIGN(model, openModel(smaller));
  const Model &large = context.model();
  LLMC_RETURN_IF_ERROR(toStatus(checkSameVocabulary(large.api(), large.handle(), model->api(), model->handle())));
  LLMC_ASSIGN(own, Context::create(*model, std::min(context.info().context, model->info().context), options.context.threads));
  result.model = std::move(model);
  result.context = std::move(own);
  result.draft = draftOf(result.model->api(), result.model->handle(), result.context->handle(), options.sampler.draftTokens,
                         options.sampler.draftMinProbability);
  return result;
}

absl::Status generate(RunOptions &options, const Prompt &prompt, Context &context, Output &output) {
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
  options.sampler.describe(request);
  LLMC_ASSIGN(draft, openDraft(options, context));
  request.draft = draft.model ? &draft.draft : nullptr;
  request.on_text = model.info().has_tokenizer && !options.ids && !options.sampler.wantsSamples() ? onText : nullptr;
  request.on_token = onToken;
  request.on_prompt = onPrompt;
  request.on_sequence = onSequence;
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

absl::Status run(RunOptions &options) {
  LLMC_RETURN_IF_ERROR(options.refused->check());
  if (options.count == 0 || options.count < -1)
    return invalidArgument("-n: want a number of tokens, or -1 for as many as the model writes, got " + std::to_string(options.count));
  if (options.sampler.slots() > 0 && !options.stepLogits.empty())
    return invalidArgument("--step-logits: with --beams or --samples no one row chooses a token; leave one out");
  LLMC_ASSIGN(prompt, readPrompt(options));
  LLMC_ASSIGN(model, openModel(options.model));
  if (!model->info().has_tokenizer && (prompt.tokens.empty() || !(options.ids || options.json)))
    return invalidArgument(options.model.model + ": has no tokenizer: give --tokens and --ids");
  LLMC_ASSIGN(context, Context::create(*model, {.context = options.context.context,
                                                .slots = options.sampler.slots(),
                                                .threads = options.context.threads}));
  std::unique_ptr<NpyWriter> stepLogits;
  if (!options.stepLogits.empty()) {
    LLMC_ASSIGN(writer, NpyWriter::create(options.stepLogits, model->info().vocab));
    stepLogits = std::move(writer);
  }
  Output output{options, stepLogits.get(), {}, {}, {}, {}};
  LLMC_RETURN_IF_ERROR(readSession(*context, options.session));
  absl::Status generated = generate(options, prompt, *context, output);
  if (generated.ok() || absl::IsCancelled(generated))
    LLMC_RETURN_IF_ERROR(writeSession(*context, options.session));
  LLMC_RETURN_IF_ERROR(generated);
  return stepLogits ? stepLogits->finish() : absl::OkStatus();
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
  options->sampler.add(*verb);
  options->sampler.addSeveral(*verb);
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
  verb->add_flag("--json", options->json, "Print {\"sequences\": [[ids]], \"text\": …}; of beam search and samples all sequences, with \"scores\", or \"texts\" and \"votes\"");
  verb->add_option("--step-logits", options->stepLogits, "Write the logits that chose each token to this .npy file");
  verb->add_flag("-q,--quiet", options->quiet, "Print no speeds");
  options->refused = std::make_unique<Unsupported>(
      *verb, std::initializer_list<Unsupported::Option>{{"--grammar", "grammars are"},
                                                        {"--json-schema", "JSON schemas are"},
                                                        {"--lora", "adapters are"},
                                                        {"--decoder-tokens-file", "encoder-decoder models are"}});
  verb->footer("Examples:\n"
               "  llmc run model.gguf -p 'The capital of France is' -n 32 --temp 0\n"
               "  llmc run model.so -f prompt.txt --top-p 0.9 --seed 1\n"
               "  llmc run model.so --tokens 2,651 -n 8 --temp 0 --ids");
  verb->callback([=, &chosen] { chosen = [=] { return run(*options); }; });
}
