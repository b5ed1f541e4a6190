// llmc eval perplexity: how well a model foretells a text.
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Softmax.h"
#include "compiler/tools/llmc/Verbs.h"
#include "compiler/tools/llmc/Windows.h"

#include <cmath>
#include <cstdio>
#include <numeric>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct PerplexityOptions {
  ModelOptions model;
  ContextOptions context;
  TokenOptions tokens;
  std::string file;
  bool json = false;
};

// Adds up -log p of the next token over rows as they come.
struct Scorer {
  const int32_t *next; // of row 0
  int64_t vocab;
  double nll = 0;
  int64_t scored = 0;
};

int32_t scoreRows(void *user, int64_t first, int64_t rows, const float *logits, const float *) {
  auto *scorer = static_cast<Scorer *>(user);
  for (int64_t row = 0; row < rows; ++row) {
    const float *values = logits + row * scorer->vocab;
    scorer->nll += logSumExp(values, scorer->vocab) - values[scorer->next[first + row]];
  }
  scorer->scored += rows;
  return 0;
}

// Scores tokens first + 1 … n - 1. All of them are one request: with some rope scalings the numbers depend on the length of
// the whole.
absl::Status score(Context &context, const std::vector<int32_t> &tokens, int64_t first, Scorer &scorer) {
  std::vector<int64_t> rows(tokens.size() - 1 - size_t(first));
  std::iota(rows.begin(), rows.end(), first);
  scorer.next = tokens.data() + first + 1;
  scorer.vocab = context.model().info().vocab;
  llmc_eval_request request{};
  request.tokens = tokens.data();
  request.count = int64_t(tokens.size());
  request.want = LLMC_WANT_LIST;
  request.rows = rows.data();
  request.row_count = int64_t(rows.size());
  request.on_rows = scoreRows;
  request.user = &scorer;
  return context.eval(request);
}

// Ids 1 … n-1, each after all before it.
absl::StatusOr<Scorer> scoreTokens(const PerplexityOptions &options, const Model &model) {
  LLMC_ASSIGN(tokens, readTokens(options.tokens));
  if (tokens.size() < 2)
    return invalidArgument("want at least two tokens: the first one is not scored");
  int64_t count = int64_t(tokens.size());
  LLMC_ASSIGN(context, Context::create(model, options.context.context ? options.context.context : count, options.context.threads));
  Scorer scorer{};
  LLMC_RETURN_IF_ERROR(score(*context, tokens, 0, scorer));
  return scorer;
}

absl::StatusOr<Scorer> scoreFile(const PerplexityOptions &options, const Model &model) {
  LLMC_ASSIGN(text, readInput(options.file));
  LLMC_ASSIGN(tokens, model.tokenize(text, LLMC_ADD_SPECIAL));
  int64_t size = options.context.context ? options.context.context : std::min<int64_t>(512, model.info().context);
  LLMC_ASSIGN(windows, Windows::cut(std::move(tokens), size, model.leadingToken()));
  LLMC_ASSIGN(context, Context::create(model, size, options.context.threads));
  Progress progress;
  Scorer scorer{};
  for (int64_t i = 0; i < windows.count(); ++i) {
    LLMC_RETURN_IF_ERROR(context->clear());
    LLMC_RETURN_IF_ERROR(score(*context, windows.window(i), windows.context(), scorer));
    progress.update("perplexity", double(i + 1) / double(windows.count()));
  }
  return scorer;
}

absl::Status perplexity(const PerplexityOptions &options) {
  if (options.file.empty() && !options.tokens.given())
    return invalidArgument("want a text: -f FILE, --tokens or --tokens-file");
  LLMC_ASSIGN(model, openModel(options.model));
  LLMC_RETURN_IF_ERROR(model->checkContinues("perplexity"));
  LLMC_ASSIGN(scorer, options.file.empty() ? scoreTokens(options, *model) : scoreFile(options, *model));
  double mean = scorer.nll / double(scorer.scored);
  if (options.json) {
    printf("{\"mean_nll\": %.9g, \"perplexity\": %.9g, \"tokens\": %lld}\n", mean, std::exp(mean), static_cast<long long>(scorer.scored));
  } else {
    fprintf(stderr, "%lld tokens scored\n", static_cast<long long>(scorer.scored));
    printf("perplexity: %.4f\n", std::exp(mean));
  }
  return absl::OkStatus();
}

} // namespace

void tools::addEvalPerplexity(CLI::App &eval, Action &chosen) {
  auto options = std::make_shared<PerplexityOptions>();
  CLI::App *verb = eval.add_subcommand("perplexity", "exp of the mean -log p of a text's tokens, as llama.cpp computes it");
  addModelOptions(*verb, options->model);
  verb->add_option("-f,--file", options->file, "Text; windows of -c tokens (512), the second half of each is scored");
  addTokenOptions(*verb, options->tokens);
  verb->add_flag("--json", options->json, "Print {\"mean_nll\": x, …}");
  addContextOptions(*verb, options->context);
  verb->callback([=, &chosen] { chosen = [=] { return perplexity(*options); }; });
}
