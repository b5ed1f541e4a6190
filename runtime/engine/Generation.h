// What every way of generating shares: the prompt's evaluation, and telling the caller of tokens and text.
#pragma once

#include "runtime/engine/Context.h"
#include "runtime/engine/TextStream.h"

#include <optional>

namespace llmc {

// Milliseconds of a clock that only goes forward.
double nowMs();

// What a token's text is can depend on those before it: the first word of a text has no space before it, the next
// has.
void showTokens(StreamDecoder &decoder, std::span<const TokenId> before);
// The text of a token, as llmc_generate_flags want it; of an incomplete character nothing.
std::string tokenText(StreamDecoder &decoder, const Tokenizer &tokenizer, TokenId token, uint32_t flags);

// One sequence on its way out: ids and text to the callbacks. What ends it sets `stats.finish`.
class Generation {
public:
  // `tokenizer` null: the model has none. All outlive this.
  Generation(Context &context, const llmc_generate_options &options, std::vector<std::string> stops, const Tokenizer *tokenizer);

  // Errors: InvalidInput if the context has no room for so many.
  Expected<void> checkFits(int64_t promptTokens) const;
  // The prompt into the slot, of which no more is evaluated than it does not hold; then the logits of its last token are
  // lastLogits() of the context. Errors: InvalidInput if it does not fit.
  Expected<void> evalPrompt(std::span<const TokenId> prompt);
  // Tokens, which continue the slot. `best` > 0: only that many of the best tokens need be known afterwards.
  Expected<void> eval(std::span<const TokenId> tokens, EvalProgress progress = {}, int64_t best = 0);
  // One token of each of several sequences; their logits go to `takeRows` (llmc_eval_request.on_rows) with `user`.
  Expected<void> evalBatch(std::span<const TokenId> tokens, std::span<const int32_t> slots, decltype(llmc_eval_request::on_rows) takeRows, void *user);
  // A token was chosen. `logits`: those that chose it, if the callback wants any.
  void tell(TokenId token, std::span<const float> logits);
  // Nothing comes after: tells what was held back.
  void finishText();
  // A token has been chosen, whether it is told of now or later: for the times.
  void noteStep();
  // What an evaluation of ours came to.
  void noteEnd(EvalEnd end);
  bool tellsLogits() const { return options.on_token && !(options.flags & LLMC_NO_LOGITS); }
  bool isStop(TokenId token) const;
  const Tokenizer *words() const { return tokenizer; }
  const std::vector<std::string> &stopStrings() const { return stops; }
  // Fills in what follows from the times.
  void measure();

  Context &context;
  const llmc_generate_options &options;
  llmc_generate_stats stats{};

private:
  int64_t commonPrefix(std::span<const TokenId> prompt) const;
  Expected<void> tellPromptIsThere();
  static bool reportPrompt(void *user, int64_t done);
  void tellText(std::string piece);
  void emit(const std::string &piece);

  const Tokenizer *tokenizer;
  std::vector<std::string> stops;
  std::optional<StreamDecoder> decoder;
  TextStream text;
  double startMs = 0, firstMs = 0, lastMs = 0;
};

} // namespace llmc
