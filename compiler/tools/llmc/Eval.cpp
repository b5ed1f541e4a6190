// llmc eval: numbers about a model on given tokens. Logits and hidden states here; the scores have files of their own.
#include "compiler/tools/llmc/Npy.h"
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Verbs.h"

#include <algorithm>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct RowsOptions {
  ModelOptions model;
  ContextOptions context;
  TokenOptions tokens;
  TokenOptions decoderTokens;
  std::string output, attentionMask, tokenTypes; // files
  bool hidden = false;
};

// What an encoder reads of the tokens given: those that the attention mask keeps, each with its place among all.
struct Sequence {
  std::vector<int32_t> tokens, places, types;
  std::vector<int64_t> rows; // where each goes among the rows that are written
  int64_t count = 0;         // of those
};

// One number a token, all below `end`.
absl::StatusOr<std::vector<int32_t>> readPerToken(const std::string &path, size_t tokens, int64_t end) {
  LLMC_ASSIGN(values, readTokens({.list = {}, .file = path}));
  if (values.size() != tokens)
    return invalidArgument(path + ": want one number for each of " + std::to_string(tokens) + " tokens, got " + std::to_string(values.size()));
  for (size_t i = 0; i < tokens; ++i)
    if (values[i] >= end)
      return invalidArgument(path + ": want numbers below " + std::to_string(end) + ", got " + std::to_string(values[i]) + " at index " + std::to_string(i));
  return values;
}

// Padding stands at the ends of a text. What is left of it goes through as if it were all, in the same place.
absl::StatusOr<Sequence> readSequence(const RowsOptions &options) {
  LLMC_ASSIGN(tokens, readTokens(options.tokens));
  size_t count = tokens.size();
  std::vector<int32_t> kept(count, 1), types;
  if (!options.attentionMask.empty()) {
    LLMC_ASSIGN(mask, readPerToken(options.attentionMask, count, 2));
    kept = std::move(mask);
  }
  if (!options.tokenTypes.empty()) {
    LLMC_ASSIGN(given, readPerToken(options.tokenTypes, count, INT32_MAX));
    types = std::move(given);
  }
  auto first = std::find(kept.begin(), kept.end(), 1), end = std::find(kept.rbegin(), kept.rend(), 1).base();
  if (first == kept.end() || std::find(first, end, 0) != end)
    return invalidArgument(options.attentionMask + ": want zeros at the ends alone (padding), and a one between");
  Sequence sequence{.count = int64_t(count)};
  for (size_t i = size_t(first - kept.begin()); i < size_t(end - kept.begin()); ++i) {
    sequence.tokens.push_back(tokens[i]);
    sequence.places.push_back(int32_t(i));
    sequence.rows.push_back(int64_t(i));
    if (!types.empty())
      sequence.types.push_back(types[i]);
  }
  return sequence;
}

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

absl::Status checkKind(const RowsOptions &options, const llmc_model_info &info) {
  if (info.max_source_tokens && !options.hidden && !options.decoderTokens.given())
    return invalidArgument(options.model.model + ": an encoder-decoder; want --decoder-tokens-file, ids that the decoder is given");
  if (options.decoderTokens.given() && (!info.max_source_tokens || options.hidden))
    return invalidArgument("--decoder-tokens-file: is for logits of encoder-decoders");
  if (!options.hidden && !info.has_logits)
    return invalidArgument(options.model.model + ": the model has no logits; want `llmc eval hidden`");
  if (!info.looks_ahead && (!options.attentionMask.empty() || !options.tokenTypes.empty()))
    return invalidArgument("--attention-mask-file and --token-types-file are for encoders; this model generates");
  return absl::OkStatus();
}

absl::Status writeRows(const RowsOptions &options) {
  LLMC_ASSIGN(sequence, readSequence(options));
  LLMC_ASSIGN(model, openModel(options.model));
  LLMC_RETURN_IF_ERROR(checkKind(options, model->info()));
  int64_t count = int64_t(sequence.tokens.size());
  std::vector<int32_t> decoded;
  if (options.decoderTokens.given()) {
    LLMC_ASSIGN(given, readTokens(options.decoderTokens));
    decoded = std::move(given);
  }
  int64_t positions = std::max(count, int64_t(decoded.size()));
  LLMC_ASSIGN(context, Context::create(*model, options.context.context ? options.context.context : positions, options.context.threads));
  LLMC_ASSIGN(npy, NpyWriter::create(options.output, options.hidden ? model->info().hidden : model->info().vocab));
  std::vector<float> zeros(size_t(options.hidden ? model->info().hidden : model->info().vocab));
  auto skip = [&](int64_t rows) { // padding
    for (; rows > 0; --rows)
      npy->append(zeros.data(), 1);
  };
  skip(sequence.rows.front());
  RowsSink sink{npy.get(), options.hidden, {}, count};
  llmc_eval_request request{};
  request.tokens = sequence.tokens.data();
  request.count = count;
  if (model->info().looks_ahead && !jsonBool(model->metadata(), "pads_move_positions").value_or(false))
    request.position_ids = sequence.places.data();
  request.token_types = sequence.types.empty() ? nullptr : sequence.types.data();
  request.want = LLMC_WANT_ALL;
  request.on_rows = takeRows;
  request.user = &sink;
  if (!decoded.empty()) {
    llmc_eval_request source = request;
    source.on_rows = nullptr;
    LLMC_RETURN_IF_ERROR(context->encode(source));
    request.tokens = decoded.data();
    request.count = int64_t(decoded.size());
  }
  bool isSource = model->info().max_source_tokens && decoded.empty();
  LLMC_RETURN_IF_ERROR(isSource ? context->encode(request) : context->eval(request));
  skip(sequence.count - 1 - sequence.rows.back());
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
  if (!hidden)
    verb->add_option("--decoder-tokens-file", options->decoderTokens.file, "For encoder-decoders: ids that the decoder is given, a JSON list; --tokens are the encoder's");
  verb->add_option("--attention-mask-file", options->attentionMask, "For encoders: a JSON list of 1 (a token) and 0 (padding, whose rows are written as zeros)");
  verb->add_option("--token-types-file", options->tokenTypes, "For encoders: a JSON list of the segment of each token");
  verb->callback([=, &chosen] { chosen = [=] { return writeRows(*options); }; });
}

} // namespace

void tools::addEval(CLI::App &program, Action &chosen) {
  CLI::App *eval = program.add_subcommand("eval", "Logits, hidden states, vectors of texts, perplexity, divergence between models, likelihood of answers");
  eval->require_subcommand(1);
  eval->footer("Examples:\n"
               "  llmc eval logits model.gguf --tokens 2,651,9 -o logits.npy\n"
               "  llmc eval perplexity model.gguf -f text.txt -c 512\n"
               "  llmc eval kld model.gguf --exact -f text.txt");
  addRows(*eval, chosen, "logits", "The logits after each token: float32 [tokens, vocab]", false);
  addRows(*eval, chosen, "hidden", "The last hidden states: float32 [tokens, hidden]", true);
  addEvalPerplexity(*eval, chosen);
  addEvalKld(*eval, chosen);
  addEvalChoice(*eval, chosen);
  addEvalEmbed(*eval, chosen);
}
