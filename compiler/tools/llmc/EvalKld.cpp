// llmc eval kld: how far a model's distributions are from those of a reference, window by window. Logits of a few rows of both are in
// memory at a time.
#include "compiler/tools/llmc/CompareModels.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Softmax.h"
#include "compiler/tools/llmc/Verbs.h"
#include "compiler/tools/llmc/Windows.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct KldOptions {
  ModelOptions model;
  ContextOptions context;
  std::string reference, file;
  bool json = false;
};

struct Comparison {
  std::vector<double> divergences; // of each row
  int64_t agreed = 0;              // rows whose largest logit is of the same token
  double nll = 0, referenceNll = 0; // of the tokens that follow
};

struct Pair {
  std::unique_ptr<Context> model, reference;
  std::vector<float> modelRows, referenceRows;
};

constexpr int64_t rowsAtOnce = 64;

absl::Status comparePiece(Pair &pair, const int32_t *tokens, int64_t count, Comparison &result) {
  int64_t vocab = pair.model->model().info().vocab;
  LLMC_RETURN_IF_ERROR(pair.reference->eval(tokens, count, pair.referenceRows.data()));
  LLMC_RETURN_IF_ERROR(pair.model->eval(tokens, count, pair.modelRows.data()));
  for (int64_t row = 0; row < count; ++row) {
    const float *q = pair.modelRows.data() + row * vocab, *p = pair.referenceRows.data() + row * vocab;
    result.divergences.push_back(std::max(divergence(p, q, vocab), 0.0));
    result.agreed += argmax(p, vocab) == argmax(q, vocab);
    result.nll += logSumExp(q, vocab) - q[tokens[row + 1]];
    result.referenceNll += logSumExp(p, vocab) - p[tokens[row + 1]];
  }
  return absl::OkStatus();
}

absl::Status compareWindow(Pair &pair, const std::vector<int32_t> &window, const Windows &windows, Comparison &result) {
  for (Context *context : {pair.model.get(), pair.reference.get()}) {
    LLMC_RETURN_IF_ERROR(context->clear());
    LLMC_RETURN_IF_ERROR(context->eval(window.data(), windows.context(), nullptr));
  }
  for (int64_t done = 0; done < windows.scored(); done += rowsAtOnce)
    LLMC_RETURN_IF_ERROR(comparePiece(pair, window.data() + windows.context() + done,
                                      std::min(rowsAtOnce, windows.scored() - done), result));
  return absl::OkStatus();
}

Divergences summarize(Comparison result) {
  std::vector<double> &all = result.divergences;
  double count = double(all.size());
  double mean = std::accumulate(all.begin(), all.end(), 0.0) / count;
  auto rank = all.begin() + ptrdiff_t(0.99 * (count - 1));
  std::nth_element(all.begin(), rank, all.end());
  return {mean, *rank, double(result.agreed) / count, int64_t(all.size()), std::exp(result.nll / count), std::exp(result.referenceNll / count)};
}

void print(const Divergences &result, bool json) {
  if (json)
    printf("{\"mean_kld\": %.9g, \"p99_kld\": %.9g, \"top1_agreement\": %.9g, \"tokens\": %lld}\n", result.mean, result.p99, result.agreement,
           static_cast<long long>(result.tokens));
  else
    printf("mean KL divergence: %.6f\n99th percentile: %.6f\ntop-1 agreement: %.2f %%\n", result.mean, result.p99, result.agreement * 100);
}

absl::StatusOr<Pair> openContexts(const Model &model, const Model &reference, int64_t size, int32_t threads) {
  Pair pair;
  LLMC_ASSIGN(first, Context::create(model, size, threads));
  LLMC_ASSIGN(second, Context::create(reference, size, threads));
  pair.model = std::move(first), pair.reference = std::move(second);
  size_t floats = size_t(std::min(rowsAtOnce, size) * model.info().vocab);
  pair.modelRows.resize(floats), pair.referenceRows.resize(floats);
  return pair;
}

// One model in its default mode against itself in exact mode, or two models, both in the mode that is asked for.
absl::Status divergences(const KldOptions &options) {
  ModelOptions ours = options.model, theirs = options.model;
  bool isSame = options.reference.empty();
  theirs.quantize.clear(), theirs.quantizeKeep.clear(), theirs.calibrate.clear(), theirs.cacheType.clear();
  if (isSame && !options.model.exact && options.model.quantize.empty() && options.model.cacheType.empty())
    return invalidArgument("want a reference: --reference MODEL, --exact for the same model in exact mode, --quantize for its source, or --cache-type for "
                           "its usual caches");
  if (isSame && options.model.exact)
    ours.exact = false;
  if (!isSame)
    theirs.model = options.reference;
  LLMC_ASSIGN(text, readInput(options.file));
  LLMC_ASSIGN(reference, openModel(theirs));
  LLMC_ASSIGN(model, openModel(ours));
  LLMC_RETURN_IF_ERROR(model->checkContinues("divergence"));
  LLMC_ASSIGN(result, compareModels(*model, *reference, text, options.context.context, options.context.threads));
  print(result, options.json);
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<Divergences> tools::compareModels(const Model &model, const Model &reference, const std::string &text, int64_t size,
                                                 int32_t threads) {
  if (model.info().vocab != reference.info().vocab)
    return invalidArgument("the reference has " + std::to_string(reference.info().vocab) + " tokens, and the model has " +
                           std::to_string(model.info().vocab) + ": want two models of one vocabulary");
  LLMC_ASSIGN(tokens, reference.tokenize(text, LLMC_ADD_SPECIAL));
  if (!size)
    size = std::min<int64_t>({512, model.info().context, reference.info().context});
  LLMC_ASSIGN(windows, Windows::cut(std::move(tokens), size, reference.leadingToken()));
  LLMC_ASSIGN(pair, openContexts(model, reference, size, threads));
  Progress progress;
  Comparison result;
  for (int64_t i = 0; i < windows.count(); ++i) {
    LLMC_RETURN_IF_ERROR(compareWindow(pair, windows.window(i), windows, result));
    progress.update("comparing", double(i + 1) / double(windows.count()));
  }
  progress.finish();
  return summarize(std::move(result));
}

void tools::addEvalKld(CLI::App &eval, Action &chosen) {
  auto options = std::make_shared<KldOptions>();
  CLI::App *verb = eval.add_subcommand("kld", "KL divergence and top-1 agreement of a model against a reference");
  addModelOptions(*verb, options->model);
  verb->add_option("--reference", options->reference, "The model to compare with; default, with --exact: the same in exact mode");
  verb->add_option("-f,--file", options->file, "Text; windows of -c tokens (512), the second half of each is compared")->required();
  verb->add_flag("--json", options->json, "Print {\"mean_kld\": …, \"p99_kld\": …, \"top1_agreement\": …}");
  addContextOptions(*verb, options->context);
  verb->callback([=, &chosen] { chosen = [=] { return divergences(*options); }; });
}
