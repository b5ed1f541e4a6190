// llmc eval: numbers about a model on given tokens. Logits and hidden states here; the scores have files of their own.
#include "compiler/tools/llmc/Npy.h"
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Verbs.h"

using namespace llmc;
using namespace llmc::tools;

namespace {

struct RowsOptions {
  ModelOptions model;
  ContextOptions context;
  TokenOptions tokens;
  std::string output;
  std::unique_ptr<Unsupported> refused;
  bool hidden = false;
};

struct RowsSink {
  NpyWriter *npy;
  bool hidden;
  Progress progress;
  int64_t tokens;
};

int32_t takeRows(void *user, int64_t first, int64_t rows, const float *logits, const float *hidden) {
  auto *sink = static_cast<RowsSink *>(user);
  sink->npy->append(sink->hidden ? hidden : logits, rows);
  sink->progress.update("evaluating", double(first + rows) / double(sink->tokens));
  return 0;
}

absl::Status writeRows(const RowsOptions &options) {
  LLMC_RETURN_IF_ERROR(options.refused->check());
  LLMC_ASSIGN(tokens, readTokens(options.tokens));
  LLMC_ASSIGN(model, openModel(options.model));
  int64_t count = int64_t(tokens.size());
  LLMC_ASSIGN(context, Context::create(*model, options.context.context ? options.context.context : count, options.context.threads));
  LLMC_ASSIGN(npy, NpyWriter::create(options.output, options.hidden ? model->info().hidden : model->info().vocab));
  RowsSink sink{npy.get(), options.hidden, {}, count};
  llmc_eval_request request{};
  request.tokens = tokens.data();
  request.count = count;
  request.want = LLMC_WANT_ALL;
  request.on_rows = takeRows;
  request.user = &sink;
  LLMC_RETURN_IF_ERROR(context->eval(request));
  return npy->finish();
}

void addRows(CLI::App &eval, Action &chosen, const char *name, const char *what, bool hidden) {
  auto options = std::make_shared<RowsOptions>();
  options->hidden = hidden;
  CLI::App *verb = eval.add_subcommand(name, what);
  addModelOptions(*verb, options->model);
  addTokenOptions(*verb, options->tokens);
  verb->add_option("-o,--output", options->output, "The .npy file to write")->required();
  addContextOptions(*verb, options->context);
  options->refused = std::make_unique<Unsupported>(
      *verb, std::initializer_list<Unsupported::Option>{{"--decoder-tokens-file", "encoder-decoder models are"},
                                                        {"--attention-mask-file", "encoder models are"},
                                                        {"--token-types-file", "encoder models are"}});
  verb->callback([=, &chosen] { chosen = [=] { return writeRows(*options); }; });
}

void addRefused(CLI::App &eval, Action &chosen, const char *name) {
  CLI::App *verb = eval.add_subcommand(name, "(not supported yet)")->group("");
  verb->prefix_command();
  verb->callback([=, &chosen] {
    chosen = [=] { return notSupported(std::string("llmc eval ") + name + " is not supported yet; there are logits, hidden, perplexity, kld"); };
  });
}

} // namespace

void tools::addEval(CLI::App &program, Action &chosen) {
  CLI::App *eval = program.add_subcommand("eval", "Logits, hidden states, perplexity, divergence between models");
  eval->require_subcommand(1);
  eval->footer("Examples:\n"
               "  llmc eval logits model.gguf --tokens 2,651,9 -o logits.npy\n"
               "  llmc eval perplexity model.gguf -f text.txt -c 512\n"
               "  llmc eval kld model.gguf --exact -f text.txt");
  addRows(*eval, chosen, "logits", "The logits after each token: float32 [tokens, vocab]", false);
  addRows(*eval, chosen, "hidden", "The last hidden states: float32 [tokens, hidden]", true);
  addEvalPerplexity(*eval, chosen);
  addEvalKld(*eval, chosen);
  addRefused(*eval, chosen, "choice");
  addRefused(*eval, chosen, "embed");
}
