// Context: steps, rows, sequences.
#include "runtime/abi/tests/EngineFixture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace llmc {
namespace {

std::string messageOf(const Expected<EvalEnd> &end) { return end ? "no error" : end.error().message; }

Expected<EvalEnd> evalOnly(Context &context, const std::vector<TokenId> &ids, int32_t slot = 0) {
  llmc_eval_request request{};
  request.tokens = ids.data();
  request.count = int64_t(ids.size());
  request.slot = slot;
  request.want = LLMC_WANT_LAST;
  return context.eval(request);
}

TEST(Eval, ChunksGiveTheSameRowsAsSingleTokens) {
  auto whole = makeContext(), single = makeContext();
  auto ids = countingTokens(50);
  auto rows = evalRows(*whole, ids, LLMC_WANT_ALL);
  for (size_t i = 0; i < ids.size(); ++i) {
    auto row = evalRows(*single, {ids[i]});
    ASSERT_EQ(0, std::memcmp(row.data(), rows.data() + i * FAKE_VOCAB, FAKE_VOCAB * sizeof(float))) << i;
  }
}

TEST(Eval, ThreadsDoNotChangeResults) {
  auto ids = countingTokens(70);
  auto expected = evalRows(*makeContext({.context = 100, .slots = 1, .threads = 1}), ids, LLMC_WANT_ALL);
  for (int threads : {2, 3, 7})
    EXPECT_EQ(expected, evalRows(*makeContext({.context = 100, .slots = 1, .threads = threads}), ids, LLMC_WANT_ALL));
}

TEST(Eval, WantedRowsComeInOrderWithTheirHiddenRows) {
  auto context = makeContext(), reference = makeContext();
  auto ids = countingTokens(40);
  auto all = evalRows(*reference, ids, LLMC_WANT_ALL);
  std::vector<int64_t> rows = {0, 3, 15, 16, 31, 39};
  std::vector<float> logits(rows.size() * FAKE_VOCAB), hidden(rows.size() * FAKE_HIDDEN);
  llmc_eval_request request{};
  request.tokens = ids.data();
  request.count = 40;
  request.want = LLMC_WANT_LIST;
  request.rows = rows.data();
  request.row_count = int64_t(rows.size());
  request.logits = logits.data();
  request.hidden = hidden.data();
  ASSERT_EQ(EvalEnd::Done, *context->eval(request));
  for (size_t i = 0; i < rows.size(); ++i) {
    const float *expected = all.data() + rows[i] * FAKE_VOCAB;
    EXPECT_EQ(0, std::memcmp(logits.data() + i * FAKE_VOCAB, expected, FAKE_VOCAB * sizeof(float))) << i;
    float margin = expected[(ids[size_t(rows[i])] + 1) % FAKE_VOCAB];
    EXPECT_FLOAT_EQ(margin + 7, hidden[i * FAKE_HIDDEN + 7]) << i;
  }
}

TEST(Eval, RaggedBatchesGiveEachSequenceItsOwnRows) {
  auto batched = makeContext(), alone = makeContext();
  auto ids = countingTokens(30);
  std::vector<int32_t> slots;
  std::vector<std::vector<TokenId>> sequences(3);
  for (size_t i = 0; i < ids.size(); ++i) {
    slots.push_back(int32_t(i * i % 3));
    sequences[size_t(slots.back())].push_back(ids[i]);
  }
  std::vector<float> logits(3 * FAKE_VOCAB);
  llmc_eval_request request{};
  request.tokens = ids.data();
  request.count = 30;
  request.slots = slots.data();
  request.want = LLMC_WANT_LAST;
  request.logits = logits.data();
  ASSERT_EQ(EvalEnd::Done, *batched->eval(request));
  // Slots 0 and 1 occur (squares modulo 3); the last token of slot 1 is the last of all.
  auto zero = evalRows(*alone, sequences[0], LLMC_WANT_LAST, 0),
       one = evalRows(*alone, sequences[1], LLMC_WANT_LAST, 1);
  bool zeroFirst = slots[29] == 1;
  EXPECT_EQ(0, std::memcmp(logits.data(), (zeroFirst ? zero : one).data(), zero.size() * sizeof(float)));
  EXPECT_EQ(0, std::memcmp(logits.data() + FAKE_VOCAB, (zeroFirst ? one : zero).data(), one.size() * sizeof(float)));
  EXPECT_EQ(int64_t(sequences[0].size()), batched->length(0));
  EXPECT_EQ(0, batched->length(2));
}

TEST(Eval, RowsArriveByCallbackWhichMayStop) {
  auto context = makeContext();
  auto ids = countingTokens(40);
  struct Seen {
    int64_t rows = 0, calls = 0, stopAfter = 100;
  } seen;
  llmc_eval_request request{};
  request.tokens = ids.data();
  request.count = 40;
  request.want = LLMC_WANT_ALL;
  request.user = &seen;
  request.on_rows = [](void *user, int64_t first, int64_t rows, const float *logits, const float *hidden) -> int32_t {
    auto &seen = *static_cast<Seen *>(user);
    EXPECT_EQ(seen.rows, first);
    EXPECT_TRUE(logits && hidden);
    seen.rows += rows;
    return ++seen.calls == seen.stopAfter;
  };
  EXPECT_EQ(EvalEnd::Done, *context->eval(request));
  EXPECT_EQ(40, seen.rows);
  seen = {.stopAfter = 2};
  EXPECT_EQ(EvalEnd::Stopped, *context->eval(request));
  EXPECT_EQ(40, context->length(0));
}

TEST(Eval, RefusesBadRequestsBeforeComputing) {
  auto context = makeContext();
  EXPECT_EQ("token 64 at index 2: the vocabulary has ids 0 … 63", messageOf(evalOnly(*context, {1, 2, 64})));
  EXPECT_EQ("token -1 at index 0: the vocabulary has ids 0 … 63", messageOf(evalOnly(*context, {-1})));
  EXPECT_EQ("slot 3: the context has slots 0 … 2", messageOf(evalOnly(*context, {1}, 3)));
  EXPECT_EQ("tokens: want at least one", messageOf(evalOnly(*context, {})));
  evalRows(*context, countingTokens(90));
  EXPECT_EQ("context: slot 0 holds 90 tokens and would hold 101, the context has room for 100; use -c 101",
            messageOf(evalOnly(*context, countingTokens(11))));
  EXPECT_EQ(90, context->length(0));
  EXPECT_EQ(EvalEnd::Done, *evalOnly(*context, countingTokens(10)));
}

TEST(Eval, NanLogitsAreAnErrorThatNamesThePosition) {
  auto context = makeContext();
  evalRows(*context, {1, 2});
  auto end = evalOnly(*context, {3, FAKE_NAN_TOKEN});
  ASSERT_FALSE(end);
  EXPECT_EQ(ErrorCode::Internal, end.error().code);
  EXPECT_NE(std::string::npos, end.error().message.find("position 3 of slot 0 are NaN")) << end.error().message;
  EXPECT_EQ(2, context->length(0));
}

TEST(Eval, CancelStopsUntilItIsTakenBack) {
  auto context = makeContext();
  context->setCancel(true);
  EXPECT_EQ(EvalEnd::Cancelled, *evalOnly(*context, {1}));
  EXPECT_EQ(0, context->length(0));
  context->setCancel(false);
  EXPECT_EQ(EvalEnd::Done, *evalOnly(*context, {1}));
}

TEST(Sequences, RollbackContinuesAsIfNothingHadBeen) {
  auto context = makeContext(), fresh = makeContext();
  evalRows(*context, countingTokens(20));
  evalRows(*context, {50, 51, 52});
  ASSERT_TRUE(context->rollback(0, 17));
  evalRows(*fresh, countingTokens(17));
  EXPECT_EQ(evalRows(*fresh, {9}), evalRows(*context, {9}));
  EXPECT_FALSE(context->rollback(0, 19));
  EXPECT_FALSE(context->rollback(0, -1));
}

TEST(Sequences, ForkedOnesGoApart) {
  auto context = makeContext(), fresh = makeContext();
  evalRows(*context, countingTokens(37));
  evalRows(*context, countingTokens(60), LLMC_WANT_LAST, 2);
  ASSERT_TRUE(context->fork(0, 2));
  auto first = evalRows(*context, {7, 8}), second = evalRows(*context, {9, 10}, LLMC_WANT_LAST, 2);
  evalRows(*fresh, countingTokens(37));
  EXPECT_EQ(evalRows(*fresh, {7, 8}), first);
  ASSERT_TRUE(fresh->rollback(0, 37));
  EXPECT_EQ(evalRows(*fresh, {9, 10}), second);
  EXPECT_FALSE(context->fork(0, 3));
}

TEST(Sequences, ClearEmptiesASlot) {
  auto context = makeContext();
  auto first = evalRows(*context, countingTokens(20));
  ASSERT_TRUE(context->clear(0));
  EXPECT_EQ(0, context->length(0));
  EXPECT_EQ(first, evalRows(*context, countingTokens(20)));
}

class Saving : public testing::Test {
protected:
  void SetUp() override {
    evalRows(*context, countingTokens(33));
    bytes.resize(size_t(context->saveBytes(0)));
    ASSERT_TRUE(context->save(0, bytes));
  }
  std::unique_ptr<Context> context = makeContext();
  std::vector<uint8_t> bytes;
};

TEST_F(Saving, RestoresIntoAnotherContextAndSlot) {
  auto other = makeContext({.context = 40, .slots = 2, .threads = 1});
  ASSERT_TRUE(other->restore(1, bytes));
  EXPECT_EQ(33, other->length(1));
  EXPECT_EQ(evalRows(*context, {4, 5}), evalRows(*other, {4, 5}, LLMC_WANT_LAST, 1));
}

TEST_F(Saving, DamageIsRefusedAnywhere) {
  auto other = makeContext();
  for (size_t at = 0; at < bytes.size(); at += at < 300 ? 1 : 97) {
    auto damaged = bytes;
    damaged[at] ^= 0x40;
    EXPECT_FALSE(other->restore(0, damaged)) << at;
  }
  for (size_t size : {size_t(0), size_t(63), size_t(64), bytes.size() - 1})
    EXPECT_FALSE(other->restore(0, std::span(bytes).first(size))) << size;
  EXPECT_EQ(0, other->length(0));
}

TEST_F(Saving, ShorterContextIsRefused) {
  auto other = makeContext({.context = 32, .slots = 1, .threads = 1});
  auto restored = other->restore(0, bytes);
  ASSERT_FALSE(restored);
  EXPECT_EQ("restore: the sequence has 33 tokens, the context has room for 32", restored.error().message);
}

TEST(Plan, ContextThatDoesNotFitIsRefusedWithOneThatDoes) {
  auto model = openFake();
  int64_t available = int64_t(1) << 20;
  auto plan = planContext(*model, {.context = 65536, .slots = 1, .threads = 1}, available);
  ASSERT_TRUE(plan);
  EXPECT_EQ(65536 * 16 * FAKE_LAYERS, plan->stateBytes);
  auto fits = checkFits(*model, *plan, available);
  ASSERT_FALSE(fits);
  EXPECT_EQ("KV cache for 65536 tokens needs 2.0 MiB, 1.0 MiB free; use -c 16384", fits.error().message);
  EXPECT_TRUE(checkFits(*model, *plan, available * 3));
}

TEST(Plan, DefaultContextIsTheTrainedOne) {
  auto plan = planContext(*openFake(), {.threads = 1}, int64_t(1) << 30);
  ASSERT_TRUE(plan);
  EXPECT_EQ(256, plan->context);
  EXPECT_EQ(1, plan->slots);
}

TEST(Plan, PositionLimitOfTheGraphHolds) {
  llmc_artifact artifact = fakeArtifact();
  artifact.metadata = R"({"position_limit": 128})";
  auto model = LoadedModel::open(artifact, "fake.so");
  ASSERT_TRUE(model);
  auto plan = planContext(**model, {.context = 129}, int64_t(1) << 30);
  ASSERT_FALSE(plan);
  EXPECT_EQ("context: this model has 128 positions, got 129; use -c 128", plan.error().message);
  EXPECT_EQ(128, planContext(**model, {}, int64_t(1) << 30)->context);
}

// A row's best tokens, by sorting; beyond the vocabulary -1.
std::vector<TokenId> bestBySorting(std::span<const float> row, size_t count) {
  std::vector<TokenId> ids(row.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) {
    return std::pair(-row[size_t(a)], a) < std::pair(-row[size_t(b)], b);
  });
  ids.resize(count, -1);
  return ids;
}

struct BestRows {
  std::vector<float> logits;
  std::vector<TokenId> ids;
};

BestRows evalBest(Context &context, const std::vector<TokenId> &ids, int64_t count, int32_t want, float *logits = nullptr) {
  BestRows best{std::vector<float>(ids.size() * size_t(count)), std::vector<TokenId>(ids.size() * size_t(count))};
  llmc_eval_request request{};
  request.tokens = ids.data();
  request.count = int64_t(ids.size());
  request.want = want;
  request.logits = logits;
  request.best = count;
  request.best_logits = best.logits.data();
  request.best_ids = best.ids.data();
  auto end = context.eval(request);
  EXPECT_TRUE(end) << end.error().message;
  return best;
}

// By panels where the step can (one token, or up to 8 rows of many), from all logits elsewhere: the same.
TEST(Eval, BestTokensAreThoseOfSortedLogits) {
  for (size_t tokens : {1, 3, 14, 50})
    for (int64_t count : {1, 7, 64, 128}) {
      auto ids = countingTokens(int64_t(tokens));
      auto all = evalRows(*makeContext(), ids, LLMC_WANT_ALL);
      auto context = makeContext();
      auto best = evalBest(*context, ids, count, LLMC_WANT_ALL);
      for (size_t row = 0; row < tokens; ++row) {
        auto logits = std::span(all).subspan(row * FAKE_VOCAB, FAKE_VOCAB);
        auto wanted = bestBySorting(logits, size_t(count));
        auto got = std::span(best.ids).subspan(row * size_t(count), size_t(count));
        ASSERT_TRUE(std::ranges::equal(wanted, got)) << tokens << " tokens, row " << row << ", best " << count;
        for (size_t i = 0; i < size_t(count); ++i)
          ASSERT_EQ(best.logits[row * size_t(count) + i], i < FAKE_VOCAB ? logits[size_t(wanted[i])] : -std::numeric_limits<float>::infinity());
      }
      auto last = context->lastBest();
      ASSERT_EQ(last.size(), std::min<size_t>(size_t(count), FAKE_VOCAB));
      EXPECT_EQ(last[0].id, best.ids[(tokens - 1) * size_t(count)]);
    }
}

TEST(Eval, BestTokensTakeTheLogitsAlongWhereTheyAreWanted) {
  auto context = makeContext();
  std::vector<TokenId> ids = {5};
  auto wanted = evalRows(*makeContext(), ids);
  std::vector<float> logits(FAKE_VOCAB);
  evalBest(*context, ids, 2, LLMC_WANT_LAST, logits.data());
  EXPECT_EQ(wanted, logits);
  ASSERT_EQ(2u, context->lastBest().size());
  EXPECT_EQ(6, context->lastBest()[0].id);
  evalBest(*context, ids, 2, LLMC_WANT_LAST);
  EXPECT_TRUE(context->lastLogits().empty()); // by panels: there are none
  ASSERT_EQ(EvalEnd::Done, *evalOnly(*context, ids));
  EXPECT_FALSE(context->lastLogits().empty());
  EXPECT_TRUE(context->lastBest().empty());
}

TEST(Eval, BestTokensFindNan) {
  auto context = makeContext();
  llmc_eval_request request{};
  TokenId id = FAKE_NAN_TOKEN;
  request.tokens = &id;
  request.count = 1;
  request.want = LLMC_WANT_LAST;
  request.best = 1;
  EXPECT_NE(messageOf(context->eval(request)).find("are NaN"), std::string::npos);
  EXPECT_EQ(0, context->length(0));
  request.best = 129;
  EXPECT_NE(messageOf(context->eval(request)).find("best: want 0 … 128 tokens, got 129"), std::string::npos);
}

} // namespace
} // namespace llmc
