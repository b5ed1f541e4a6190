#include "runtime/engine/GenerateSamples.h"

#include "runtime/engine/Vote.h"

#include <algorithm>

namespace llmc {
namespace {

struct Sample {
  int64_t slot;
  Sampler sampler;
  std::optional<StreamDecoder> decoder;
  TextStream stream;
  std::vector<TokenId> tokens = {};
  std::string text = {}, answer = {};
  int32_t finish = 0;
};

class Samples {
public:
  Samples(Generation &generation, SamplerOptions sampling) : generation(generation), context(generation.context) {
    for (int64_t i = 0; i < generation.options.samples; ++i, ++sampling.seed) {
      samples.push_back({generation.options.slot + i, Sampler(sampling), {}, TextStream(generation.stopStrings())});
      if (generation.words())
        samples.back().decoder.emplace(*generation.words());
    }
  }

  Expected<void> run(std::span<const TokenId> prompt) {
    LLMC_CHECK(generation.evalPrompt(prompt));
    if (!generation.stats.finish)
      LLMC_CHECK(begin(prompt));
    while (!generation.stats.finish && findLive())
      LLMC_CHECK(step());
    for (Sample &sample : samples)
      finishText(sample);
    return tidy(int64_t(prompt.size()));
  }

  // Errors: of the pattern, and of matching.
  Expected<void> vote(const AnswerFinder &finder) {
    std::vector<std::string> answers;
    for (Sample &sample : samples) {
      LLMC_TRY(answer, finder.find(sample.text));
      answers.push_back(sample.answer = answer);
    }
    votes = countVotes(answers);
    return {};
  }

  // All to on_sequence, the chosen one to on_token and on_text.
  void tellResults() {
    int64_t total = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      total += int64_t(samples[i].tokens.size());
      if (!tellSample(i))
        generation.stats.finish = LLMC_FINISH_CALLBACK;
    }
    const Sample &chosen = samples[votes.winner];
    for (size_t i = 0; i < chosen.tokens.size() && !generation.stats.finish; ++i)
      generation.tell(chosen.tokens[i], {});
    if (!generation.stats.finish)
      generation.stats.finish = chosen.finish;
    generation.finishText();
    generation.stats.generated_tokens = total;
  }

private:
  Expected<void> begin(std::span<const TokenId> prompt) {
    std::vector<float> row(context.lastLogits().begin(), context.lastLogits().end());
    for (Sample &sample : samples) {
      LLMC_CHECK(context.fork(generation.options.slot, sample.slot));
      for (TokenId id : prompt)
        sample.sampler.accept(id);
      if (sample.decoder)
        showTokens(*sample.decoder, prompt);
      LLMC_CHECK(draw(sample, row));
    }
    generation.noteStep();
    return {};
  }

  Expected<void> draw(Sample &sample, std::span<const float> logits) {
    LLMC_TRY(token, sample.sampler.next(logits));
    sample.sampler.accept(token);
    sample.tokens.push_back(token);
    if (generation.isStop(token))
      sample.finish = LLMC_FINISH_EOS;
    else if (sample.decoder)
      sample.text += sample.stream.push(repairUtf8(tokenText(*sample.decoder, *generation.words(), token, generation.options.flags)));
    if (!sample.finish && sample.stream.stopped())
      sample.finish = LLMC_FINISH_STOP;
    if (!sample.finish && int64_t(sample.tokens.size()) == generation.options.max_tokens)
      sample.finish = LLMC_FINISH_LENGTH;
    return {};
  }

  // False if all have ended.
  bool findLive() {
    live.clear();
    for (Sample &sample : samples) {
      if (!sample.finish && context.length(sample.slot) == context.plan().context)
        sample.finish = LLMC_FINISH_CONTEXT;
      if (!sample.finish)
        live.push_back(&sample);
    }
    return !live.empty();
  }

  Expected<void> step() {
    tokens.clear(), slots.clear();
    for (const Sample *sample : live)
      tokens.push_back(sample->tokens.back()), slots.push_back(int32_t(sample->slot));
    LLMC_CHECK(generation.evalBatch(tokens, slots, takeRows, this));
    return rowError;
  }

  static int32_t takeRows(void *user, int64_t first, int64_t count, const float *logits, const float *) {
    auto *self = static_cast<Samples *>(user);
    size_t vocab = size_t(self->context.model().artifact().vocab);
    for (int64_t i = 0; i < count && self->rowError; ++i)
      self->rowError = self->draw(*self->live[size_t(first + i)], {logits + size_t(i) * vocab, vocab});
    return !self->rowError;
  }

  void finishText(Sample &sample) {
    if (sample.finish != LLMC_FINISH_STOP && sample.decoder) {
      sample.text += sample.stream.push(repairUtf8(sample.decoder->flush()));
      sample.text += sample.stream.flush();
    }
  }

  bool tellSample(size_t index) const {
    const Sample &sample = samples[index];
    const llmc_generate_options &options = generation.options;
    llmc_sequence sequence{};
    sequence.struct_size = sizeof sequence;
    sequence.index = int64_t(index);
    sequence.tokens = sample.tokens.data();
    sequence.token_count = int64_t(sample.tokens.size());
    sequence.text = sample.text.c_str();
    sequence.text_bytes = int64_t(sample.text.size());
    sequence.finish = sample.finish;
    sequence.answer = sample.answer.c_str();
    sequence.answer_bytes = int64_t(sample.answer.size());
    sequence.votes = votes.counts.empty() ? 0 : votes.counts[index];
    return !options.on_sequence || !options.on_sequence(options.user, &sequence);
  }

  Expected<void> tidy(int64_t promptTokens) {
    for (const Sample &sample : samples)
      if (sample.slot != generation.options.slot)
        LLMC_CHECK(context.clear(sample.slot));
    return context.rollback(generation.options.slot, std::min(context.length(generation.options.slot), promptTokens));
  }

  Generation &generation;
  Context &context;
  std::vector<Sample> samples;
  Votes votes;
  // Of a step.
  std::vector<Sample *> live;
  std::vector<TokenId> tokens;
  std::vector<int32_t> slots;
  Expected<void> rowError;
};

Expected<void> checkSamples(const Generation &generation) {
  const llmc_generate_options &options = generation.options;
  int64_t slots = generation.context.plan().slots;
  if (options.samples > slots - options.slot)
    return invalidInput("samples: " + std::to_string(options.samples) + " from slot " + std::to_string(options.slot) + " on need " +
                        std::to_string(options.slot + options.samples) + " slots, the context has " + std::to_string(slots));
  if ((options.flags & LLMC_VOTE) && !generation.words())
    return unsupported("vote: this model has no tokenizer, so its answers are no texts");
  return {};
}

} // namespace

Expected<void> generateSamples(Generation &generation, const SamplerOptions &sampling, std::span<const TokenId> prompt) {
  LLMC_CHECK(checkSamples(generation));
  LLMC_TRY(finder, AnswerFinder::create(generation.options.answer ? generation.options.answer : ""));
  Samples samples(generation, sampling);
  LLMC_CHECK(samples.run(prompt));
  if (generation.stats.finish)
    return {};
  if (generation.options.flags & LLMC_VOTE)
    LLMC_CHECK(samples.vote(finder));
  samples.tellResults();
  return {};
}

} // namespace llmc
