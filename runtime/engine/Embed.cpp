#include "runtime/engine/Embed.h"

#include "runtime/support/Text.h"

#include <algorithm>
#include <cmath>

namespace llmc {
namespace {

// Takes rows of hidden states as they come. Sums are double: a long text has thousands of rows.
class Pool {
public:
  Pool(Pooling pooling, int64_t hidden) : pooling(pooling), sums(size_t(hidden)) {}

  void add(const float *row) {
    bool first = rows++ == 0;
    for (size_t i = 0; i < sums.size(); ++i) {
      double value = double(row[i]);
      if (pooling == Pooling::Mean)
        sums[i] += value;
      else if (first || pooling == Pooling::Last || (pooling == Pooling::Max && value > sums[i]))
        sums[i] = value;
    }
  }

  void write(bool normalize, float *vector) const {
    double length = 0;
    for (double sum : sums)
      length += sum * sum;
    // A length is the same of the sums and of their mean.
    double factor = normalize ? (length > 0 ? 1 / std::sqrt(length) : 0) : pooling == Pooling::Mean ? 1 / double(rows) : 1;
    std::ranges::transform(sums, vector, [&](double sum) { return float(sum * factor); });
  }

  static int32_t take(void *user, int64_t, int64_t rows, const float *, const float *hidden) {
    auto *pool = static_cast<Pool *>(user);
    for (int64_t row = 0; row < rows; ++row)
      pool->add(hidden + row * int64_t(pool->sums.size()));
    return 0;
  }

private:
  Pooling pooling;
  std::vector<double> sums;
  int64_t rows = 0;
};

} // namespace

std::optional<Pooling> parsePooling(std::string_view name) {
  constexpr std::string_view names[] = {"mean", "cls", "max", "last"};
  auto at = std::ranges::find(names, name);
  return at == std::end(names) ? std::nullopt : std::optional(Pooling(at - std::begin(names)));
}

Expected<EvalEnd> embed(Context &context, int64_t slot, std::span<const TokenId> tokens, const Embedding &how, float *vector) {
  LLMC_CHECK(context.clear(slot));
  Pool pool(how.pooling, context.model().artifact().hidden);
  llmc_eval_request request{};
  request.tokens = tokens.data();
  request.count = int64_t(tokens.size());
  request.slot = int32_t(slot);
  request.want = LLMC_WANT_ALL;
  request.on_rows = Pool::take;
  request.user = &pool;
  LLMC_TRY(end, context.model().hasEncoder() ? context.encode(request) : context.eval(request));
  if (end == EvalEnd::Done)
    pool.write(how.normalize, vector);
  LLMC_CHECK(context.clear(slot));
  return end;
}

Expected<EvalEnd> embedText(Context &context, std::string_view text, const llmc_embed_options &options, float *vector) {
  const LoadedModel &model = context.model();
  Embedding how = model.embedding();
  if (options.pooling) {
    auto pooling = parsePooling(options.pooling);
    if (!pooling)
      return invalidInput("pooling: want mean, cls, max or last, got " + quoteText(options.pooling));
    how.pooling = *pooling;
  }
  if (options.normalize >= 0)
    how.normalize = options.normalize;
  LLMC_CHECK(context.checkSlot(options.slot));
  LLMC_TRY(tokenizer, model.tokenizer());
  LLMC_TRY(tokens, tokenizer->encode(text, {.addSpecial = true}));
  if (tokens.empty())
    return invalidInput("text: it is empty, and this model adds no token to it");
  int64_t most = context.plan().context;
  if (int64_t once = model.hasEncoder() ? model.maxSourceTokens() : model.looksAhead() ? model.maxStepTokens() : most; once < most)
    most = once;
  if (how.maxTokens)
    most = std::min(most, how.maxTokens);
  if (options.truncate)
    tokens = truncated(std::move(tokens), most, *tokenizer);
  if (int64_t(tokens.size()) > most)
    return invalidInput("text: it has " + std::to_string(tokens.size()) + " tokens, the model reads " + std::to_string(most) +
                        " at most; make it shorter, or let it lose its end (--truncate)");
  return embed(context, options.slot, tokens, how, vector);
}

std::vector<TokenId> truncated(std::vector<TokenId> tokens, int64_t most, const Tokenizer &tokenizer) {
  if (int64_t(tokens.size()) <= most)
    return tokens;
  auto isText = [&](TokenId id) { return !tokenizer.isSpecial(id); };
  auto end = std::find_if(tokens.rbegin(), tokens.rend(), isText).base(); // of what may go
  int64_t behind = tokens.end() - end, kept = std::max<int64_t>(most - behind, 0);
  tokens.erase(tokens.begin() + kept, end);
  tokens.resize(size_t(std::min<int64_t>(int64_t(tokens.size()), most)));
  return tokens;
}

} // namespace llmc
