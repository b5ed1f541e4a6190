#include "compiler/tools/llmc/BenchRun.h"

#include <algorithm>
#include <chrono>

namespace llmc::tools {
namespace {

// Ids that any vocabulary has, the same every time; what they are does not matter to the time.
std::vector<int32_t> someTokens(int64_t count, int64_t vocab) {
  std::vector<int32_t> tokens;
  uint64_t state = 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    tokens.push_back(int32_t((state >> 33) % uint64_t(vocab)));
  }
  return tokens;
}

} // namespace

std::string BenchTest::name() const {
  std::string name = promptTokens ? "pp" + std::to_string(promptTokens) : "tg" + std::to_string(generatedTokens);
  if (depth)
    name += " @ d" + std::to_string(depth);
  if (sequences > 1)
    name += " x " + std::to_string(sequences);
  if (draws())
    name += ", " + sample;
  return name;
}

BenchRun::BenchRun(const BenchTest &test, std::unique_ptr<Context> context, int64_t vocab)
    : test(test), sequences(std::move(context)), tokens(someTokens(std::max(test.depth + 1, test.measuredTokens()), vocab)) {}

// With a depth, one more slot keeps what each sequence starts from.
absl::StatusOr<BenchRun> BenchRun::create(const Model &model, const BenchTest &test, int64_t context) {
  LLMC_ASSIGN(slots, Context::create(model, {.context = std::max(context, test.context()),
                                             .slots = test.sequences + (test.depth > 0),
                                             .threads = test.threads}));
  BenchRun run(test, std::move(slots), model.info().vocab);
  if (test.depth) {
    llmc_eval_request request{};
    request.tokens = run.tokens.data();
    request.count = test.depth;
    request.slot = int32_t(test.sequences);
    request.want = LLMC_WANT_NONE;
    LLMC_RETURN_IF_ERROR(run.sequences->eval(request));
  }
  return run;
}

absl::Status BenchRun::rewind() {
  for (int32_t slot = 0; slot < test.sequences; ++slot)
    LLMC_RETURN_IF_ERROR(test.depth ? sequences->fork(int32_t(test.sequences), slot) : sequences->clear(slot));
  return absl::OkStatus();
}

// `count` tokens of each sequence in one request, the logits of each last one wanted.
absl::Status BenchRun::eval(int64_t first, int64_t count) {
  slots.clear();
  for (int32_t slot = 0; slot < test.sequences; ++slot)
    slots.insert(slots.end(), size_t(count), slot);
  llmc_eval_request request{};
  request.tokens = tokens.data() + first;
  request.count = count * test.sequences;
  request.slots = slots.data();
  request.want = LLMC_WANT_LAST;
  return sequences->eval(request);
}

// Seconds from the first token drawn to the last, after what the sequence holds and one token more.
absl::StatusOr<double> BenchRun::generate() {
  const Model &model = sequences->model();
  llmc_sampler_options sampler{sizeof sampler, test.sample == "greedy" ? 0.0f : 0.8f, 40, 0.95f, 0.05f, 1.0f, 64, /*seed=*/1};
  llmc_generate_options request{};
  request.struct_size = sizeof request;
  request.tokens = tokens.data();
  request.token_count = test.depth + 1;
  request.flags = LLMC_IGNORE_EOS;
  request.max_tokens = test.generatedTokens + 1;
  request.sampler = &sampler;
  llmc_generate_stats stats{};
  stats.struct_size = sizeof stats;
  llmc_error *error = nullptr;
  LLMC_RETURN_IF_ERROR(model.status(model.api().generate(sequences->handle(), &request, &stats, &error), error));
  if (stats.finish == LLMC_FINISH_CANCELLED)
    return absl::CancelledError("interrupted");
  return stats.decode_ms / 1000;
}

absl::StatusOr<double> BenchRun::run() {
  LLMC_RETURN_IF_ERROR(rewind());
  if (test.draws())
    return generate();
  auto begin = std::chrono::steady_clock::now();
  if (test.promptTokens)
    LLMC_RETURN_IF_ERROR(eval(0, test.promptTokens));
  for (int64_t i = 0; i < test.generatedTokens; ++i)
    LLMC_RETURN_IF_ERROR(eval(i * test.sequences, 1));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace llmc::tools
