#include "runtime/engine/Generation.h"

#include <algorithm>
#include <chrono>

namespace llmc {

double nowMs() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void showTokens(StreamDecoder &decoder, std::span<const TokenId> before) {
  constexpr size_t enough = 8;
  for (TokenId id : before.last(std::min(enough, before.size())))
    decoder.push(id);
}

std::string tokenText(StreamDecoder &decoder, const Tokenizer &tokenizer, TokenId token, uint32_t flags) {
  std::string piece = decoder.push(token);
  if ((flags & LLMC_SHOW_SPECIAL) && tokenizer.isSpecial(token))
    piece += tokenizer.piece(token);
  return piece;
}

Generation::Generation(Context &context, const llmc_generate_options &options, std::vector<std::string> stopTexts,
                       const Tokenizer *tokenizer)
    : context(context), options(options), tokenizer(tokenizer), stops(std::move(stopTexts)), text(stops) {
  if (tokenizer)
    decoder.emplace(*tokenizer);
}

// ---- The prompt -----------------------------------------------------------------------------------------------------

Expected<void> Generation::checkFits(int64_t promptTokens) const {
  if (promptTokens <= context.plan().context)
    return {};
  return invalidInput("prompt: it has " + std::to_string(promptTokens) + " tokens, the context has room for " +
                      std::to_string(context.plan().context) + "; use -c " + std::to_string(promptTokens + 1));
}

// Tokens that the slot holds already.
int64_t Generation::commonPrefix(std::span<const TokenId> prompt) const {
  if (options.flags & LLMC_NO_PREFIX_REUSE)
    return 0;
  auto held = context.tokens(options.slot);
  return std::ranges::mismatch(held, prompt).in1 - held.begin();
}

Expected<void> Generation::evalPrompt(std::span<const TokenId> prompt) {
  int64_t count = int64_t(prompt.size());
  startMs = nowMs();
  stats.prompt_tokens = count;
  LLMC_CHECK(checkFits(count));
  if (decoder)
    showTokens(*decoder, prompt);
  int64_t same = commonPrefix(prompt);
  if (same == count && context.recall(options.slot, count))
    return tellPromptIsThere();
  // At least one token is evaluated: its logits are needed.
  same = std::min(same, count - 1);
  LLMC_CHECK(context.rollback(options.slot, same));
  stats.cached_tokens = same - context.pending(options.slot);
  auto done = eval(prompt.subspan(size_t(same)), {&Generation::reportPrompt, this});
  stats.prompt_ms = nowMs() - startMs;
  return done;
}

Expected<void> Generation::tellPromptIsThere() {
  stats.cached_tokens = stats.prompt_tokens;
  if (!reportPrompt(this, 0))
    stats.finish = LLMC_FINISH_CALLBACK;
  stats.prompt_ms = nowMs() - startMs;
  return {};
}

bool Generation::reportPrompt(void *user, int64_t done) {
  auto *self = static_cast<Generation *>(user);
  const llmc_generate_options &options = self->options;
  return !options.on_prompt ||
         !options.on_prompt(options.user, self->stats.cached_tokens + done, self->stats.prompt_tokens);
}

Expected<void> Generation::eval(std::span<const TokenId> tokens, EvalProgress progress, int64_t best) {
  llmc_eval_request request{};
  request.tokens = tokens.data();
  request.count = int64_t(tokens.size());
  request.slot = options.slot;
  request.want = LLMC_WANT_LAST;
  request.best = best;
  LLMC_TRY(end, context.eval(request, progress));
  noteEnd(end);
  return {};
}

Expected<void> Generation::evalBatch(std::span<const TokenId> tokens, std::span<const int32_t> slots,
                                     decltype(llmc_eval_request::on_rows) takeRows, void *user) {
  llmc_eval_request request{};
  request.tokens = tokens.data();
  request.slots = slots.data();
  request.count = int64_t(tokens.size());
  request.want = LLMC_WANT_ALL;
  request.on_rows = takeRows;
  request.user = user;
  LLMC_TRY(end, context.eval(request));
  noteEnd(end);
  noteStep();
  return {};
}

void Generation::noteEnd(EvalEnd end) {
  if (end == EvalEnd::Cancelled)
    stats.finish = LLMC_FINISH_CANCELLED;
  if (end == EvalEnd::Stopped)
    stats.finish = LLMC_FINISH_CALLBACK;
}

// ---- Telling --------------------------------------------------------------------------------------------------------

bool Generation::isStop(TokenId token) const {
  return !(options.flags & LLMC_IGNORE_EOS) && std::ranges::binary_search(context.model().stopTokens(), token);
}

void Generation::noteStep() {
  lastMs = nowMs();
  if (firstMs == 0)
    firstMs = lastMs;
}

void Generation::tell(TokenId token, std::span<const float> logits) {
  noteStep();
  ++stats.generated_tokens;
  if (isStop(token))
    stats.finish = LLMC_FINISH_EOS;
  if (!tellsLogits())
    logits = {};
  if (options.on_token && options.on_token(options.user, token, logits.data(), int64_t(logits.size())))
    stats.finish = LLMC_FINISH_CALLBACK;
  else if (!stats.finish)
    tellText(decoder ? tokenText(*decoder, *tokenizer, token, options.flags) : std::string());
  if (!stats.finish && stats.generated_tokens == options.max_tokens)
    stats.finish = LLMC_FINISH_LENGTH;
}

void Generation::tellText(std::string piece) {
  emit(text.push(repairUtf8(std::move(piece))));
  if (!stats.finish && text.stopped())
    stats.finish = LLMC_FINISH_STOP;
}

// A stop string or a callback ends the text at once; otherwise what was held back is part of it.
void Generation::finishText() {
  if (stats.finish == LLMC_FINISH_STOP || stats.finish == LLMC_FINISH_CALLBACK || !decoder)
    return;
  std::string rest = text.push(repairUtf8(decoder->flush()));
  emit(rest + text.flush());
}

void Generation::emit(const std::string &piece) {
  if (!piece.empty() && options.on_text && options.on_text(options.user, piece.c_str(), int64_t(piece.size())))
    stats.finish = LLMC_FINISH_CALLBACK;
}

void Generation::measure() {
  stats.first_token_ms = stats.generated_tokens ? firstMs - startMs : 0;
  stats.decode_ms = lastMs - firstMs;
  int64_t evaluated = stats.prompt_tokens - stats.cached_tokens;
  stats.prompt_tokens_per_second = stats.prompt_ms > 0 ? double(evaluated) / stats.prompt_ms * 1000 : 0;
  if (stats.generated_tokens > 1 && stats.decode_ms > 0)
    stats.tokens_per_second = double(stats.generated_tokens - 1) / stats.decode_ms * 1000;
}

} // namespace llmc
