// What a sequence is must not depend on how it came to be: every way back and forth, for states that grow, states that do
// not, and both, against a context that never did anything else.
#include "runtime/abi/tests/EngineFixture.h"
#include "runtime/engine/Generate.h"
#include "runtime/engine/Machine.h"
#include "runtime/engine/States.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>

namespace {
thread_local int64_t allocations = 0;
} // namespace

void *operator new(size_t bytes) {
  ++allocations;
  if (void *memory = std::malloc(bytes ? bytes : 1))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

namespace llmc {
namespace {

enum class Kind { Attention, Recurrent, Hybrid };

const llmc_artifact &artifactOf(Kind kind) {
  static const llmc_artifact artifacts[] = {withTokenizer(fake_attention), withTokenizer(fake_recurrent),
                                           withTokenizer(fake_hybrid)};
  return artifacts[size_t(kind)];
}

class Sequence : public testing::TestWithParam<Kind> {
protected:
  bool fixed() const { return GetParam() != Kind::Attention; }
  std::unique_ptr<Context> make(int64_t checkpoints = 0, int64_t context = 256, int64_t slots = 3) const {
    return makeContext({.context = context, .slots = slots, .threads = 2, .checkpoints = checkpoints},
                       artifactOf(GetParam()));
  }
  // The row after `ids` in a context that has seen nothing else.
  std::vector<float> fresh(const std::vector<TokenId> &ids) const { return evalRows(*make(-1), ids); }
  // That a slot holds `ids`: by the logits of a token more, which is taken back.
  void expectHolds(Context &context, std::vector<TokenId> ids, int64_t slot = 0) const {
    ASSERT_EQ(int64_t(ids.size()), context.length(slot));
    EXPECT_TRUE(std::ranges::equal(ids, context.tokens(slot)));
    ids.push_back(17);
    EXPECT_EQ(fresh(ids), evalRows(context, {17}, LLMC_WANT_LAST, int32_t(slot)));
    ASSERT_TRUE(context.rollback(slot, int64_t(ids.size()) - 1));
  }
};

std::vector<TokenId> firstOf(const std::vector<TokenId> &ids, int64_t count) { return {ids.begin(), ids.begin() + count}; }

std::vector<TokenId> joined(std::vector<TokenId> ids, const std::vector<TokenId> &more) {
  ids.insert(ids.end(), more.begin(), more.end());
  return ids;
}

TEST_P(Sequence, ChunksGiveTheSameRowsAsSingleTokens) {
  auto whole = make(), single = make();
  auto ids = countingTokens(50);
  auto rows = evalRows(*whole, ids, LLMC_WANT_ALL);
  for (size_t i = 0; i < ids.size(); ++i) {
    auto row = evalRows(*single, {ids[i]});
    ASSERT_EQ(0, std::memcmp(row.data(), rows.data() + i * FAKE_VOCAB, FAKE_VOCAB * sizeof(float))) << i;
  }
}

TEST_P(Sequence, RollsBackToAnyLength) {
  auto ids = countingTokens(120);
  for (int64_t checkpoints : {-1, 1, 2, 8})
    for (int64_t length : {119, 118, 100, 64, 63, 33, 16, 1, 0}) {
      auto context = make(checkpoints);
      evalRows(*context, firstOf(ids, 40));
      for (int64_t i = 40; i < 120; ++i)
        evalRows(*context, {ids[size_t(i)]});
      ASSERT_TRUE(context->rollback(0, length));
      expectHolds(*context, firstOf(ids, length));
      ASSERT_TRUE(context->rollback(0, length / 2)); // and once more, from there
      expectHolds(*context, firstOf(ids, length / 2));
    }
}

TEST_P(Sequence, IsBehindOnlyAfterACheckpointThatIsNotThere) {
  auto context = make();
  evalRows(*context, countingTokens(40));
  EXPECT_EQ(0, context->pending(0));
  evalRows(*context, {1, 2, 3});
  ASSERT_TRUE(context->rollback(0, 42));
  EXPECT_EQ(fixed() ? 2 : 0, context->pending(0));
  ASSERT_TRUE(context->rollback(0, 40)); // the end of a long request
  EXPECT_EQ(0, context->pending(0));
  ASSERT_TRUE(context->rollback(0, 39));
  EXPECT_EQ(fixed() ? 39 - 32 : 0, context->pending(0) % 16); // a chunk's end, or none
  evalRows(*context, {1});
  EXPECT_EQ(0, context->pending(0));
}

TEST_P(Sequence, AnotherTurnFromTheSameBranchEvaluatesOnlyWhatIsNew) {
  auto context = make();
  auto ids = countingTokens(60);
  evalRows(*context, ids);
  ASSERT_TRUE(context->rollback(0, 30));
  EXPECT_EQ(fixed() ? 30 : 0, context->pending(0));
  evalRows(*context, {5, 6, 7});
  ASSERT_TRUE(context->rollback(0, 30)); // now there is a checkpoint
  EXPECT_EQ(0, context->pending(0));
  expectHolds(*context, firstOf(ids, 30));
}

TEST_P(Sequence, ForkedOnesGoApartAndBack) {
  auto context = make();
  auto ids = countingTokens(37);
  evalRows(*context, ids);
  evalRows(*context, countingTokens(60), LLMC_WANT_LAST, 2);
  ASSERT_TRUE(context->fork(0, 2));
  evalRows(*context, {7, 8});
  evalRows(*context, {9, 10}, LLMC_WANT_LAST, 2);
  expectHolds(*context, joined(ids, {7, 8}), 0);
  expectHolds(*context, joined(ids, {9, 10}), 2);
  ASSERT_TRUE(context->clear(0));
  ASSERT_TRUE(context->rollback(2, 37));
  EXPECT_EQ(0, context->pending(2)); // the checkpoint of the source is the copy's too
  expectHolds(*context, ids, 2);
  ASSERT_TRUE(context->rollback(2, 20)); // a fork may be behind, too
  ASSERT_TRUE(context->fork(2, 1));
  expectHolds(*context, firstOf(ids, 20), 1);
  expectHolds(*context, firstOf(ids, 20), 2);
}

TEST_P(Sequence, ARequestThatEndsEarlyLeavesNoTrace) {
  auto held = countingTokens(50), more = countingTokens(45, 3);
  for (bool rolledBack : {false, true})
    for (int64_t steps = 0; steps < 3; ++steps) {
      auto context = make();
      evalRows(*context, held);
      auto expected = held;
      if (rolledBack) {
        ASSERT_TRUE(context->rollback(0, 41));
        expected = firstOf(held, 41);
      }
      llmc_eval_request request{};
      request.tokens = more.data();
      request.count = int64_t(more.size());
      struct Stop {
        Context *context;
        int64_t steps;
      } stop{context.get(), steps};
      auto cancelAfter = [](void *user, int64_t) {
        auto &stop = *static_cast<Stop *>(user);
        stop.context->setCancel(--stop.steps <= 0);
        return true;
      };
      context->setCancel(steps == 0);
      EXPECT_EQ(EvalEnd::Cancelled, *context->eval(request, {cancelAfter, &stop}));
      context->setCancel(false);
      expectHolds(*context, expected);
      stop.steps = steps;
      auto stopAfter = [](void *user, int64_t) { return --static_cast<Stop *>(user)->steps > 0; };
      EXPECT_EQ(EvalEnd::Stopped, *context->eval(request, {stopAfter, &stop}));
      expectHolds(*context, expected);
    }
}

TEST_P(Sequence, AnErrorLeavesNoTrace) {
  for (int64_t count : {1, 2, 20, 40}) {
    auto context = make(), other = make(-1);
    auto held = countingTokens(21), more = countingTokens(count, 3);
    more.back() = FAKE_NAN_TOKEN;
    for (auto *each : {context.get(), other.get()}) {
      evalRows(*each, held);
      llmc_eval_request request{};
      request.tokens = more.data();
      request.count = count;
      request.want = LLMC_WANT_LAST;
      EXPECT_FALSE(each->eval(request));
      expectHolds(*each, held);
    }
  }
}

// Several at once: tokens of three slots in any order, all ways back and forth, against a list of ids for each slot.
TEST_P(Sequence, AnyHistoryGivesTheSame) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    std::mt19937 random(seed);
    auto upTo = [&](int64_t most) { return int64_t(random() % uint64_t(most + 1)); };
    auto context = make(upTo(4) - 1);
    std::vector<TokenId> held[3];
    for (int action = 0; action < 60; ++action) {
      int64_t slot = upTo(2), to = upTo(2);
      switch (upTo(6)) {
      case 0:
        ASSERT_TRUE(context->rollback(slot, upTo(int64_t(held[slot].size()))));
        held[slot].resize(size_t(context->length(slot)));
        break;
      case 1:
        ASSERT_TRUE(context->fork(slot, to));
        held[to] = held[slot];
        break;
      case 2: {
        std::vector<uint8_t> bytes(size_t(context->saveBytes(slot)));
        ASSERT_TRUE(context->save(slot, bytes));
        ASSERT_TRUE(context->restore(to, bytes));
        held[to] = held[slot];
        break;
      }
      case 3:
        if (upTo(3) == 0) {
          ASSERT_TRUE(context->clear(slot));
          held[slot].clear();
        }
        break;
      default: {
        std::vector<TokenId> ids;
        std::vector<int32_t> slots;
        int64_t count = upTo(1) ? 1 : 1 + upTo(30);
        for (int64_t i = 0; i < count; ++i) {
          int64_t next = upTo(3) ? slot : upTo(2);
          if (int64_t(held[next].size()) + count > 250)
            continue;
          slots.push_back(int32_t(next));
          ids.push_back(TokenId(upTo(59)));
        }
        if (ids.empty())
          break;
        bool fails = upTo(4) == 0;
        if (fails)
          ids.back() = FAKE_NAN_TOKEN;
        llmc_eval_request request{};
        request.tokens = ids.data();
        request.slots = slots.data();
        request.count = int64_t(ids.size());
        request.want = LLMC_WANT_LAST;
        ASSERT_EQ(!fails, context->eval(request).has_value());
        for (size_t i = 0; i < ids.size() && !fails; ++i)
          held[slots[i]].push_back(ids[i]);
      }
      }
      if (upTo(4) == 0)
        for (int64_t each = 0; each < 3; ++each)
          expectHolds(*context, held[each], each);
    }
    for (int64_t each = 0; each < 3; ++each)
      expectHolds(*context, held[each], each);
  }
}

TEST_P(Sequence, SavedOnesComeBackWithTheirCheckpoints) {
  auto context = make();
  auto ids = countingTokens(70);
  evalRows(*context, firstOf(ids, 30));
  evalRows(*context, {ids.begin() + 30, ids.end()});
  std::vector<uint8_t> bytes(size_t(context->saveBytes(0)));
  ASSERT_TRUE(context->save(0, bytes));
  for (int64_t checkpoints : {0, 1, -1}) {
    auto other = make(checkpoints, 80, 2);
    ASSERT_TRUE(other->restore(1, bytes));
    expectHolds(*other, ids, 1);
    ASSERT_TRUE(other->rollback(1, 30));
    if (fixed() && checkpoints == 0)
      EXPECT_EQ(0, other->pending(1));
    expectHolds(*other, firstOf(ids, 30), 1);
  }
  ASSERT_TRUE(context->rollback(0, 20)); // behind
  bytes.resize(size_t(context->saveBytes(0)));
  ASSERT_TRUE(context->save(0, bytes));
  ASSERT_TRUE(context->restore(2, bytes));
  expectHolds(*context, firstOf(ids, 20), 2);
}

// Bytes of others are refused with one line, whatever is in them: also where somebody made the checksum fit.
TEST_P(Sequence, HostileSavesAreRefused) {
  auto context = make();
  evalRows(*context, countingTokens(40));
  std::vector<uint8_t> saved(size_t(context->saveBytes(0)));
  ASSERT_TRUE(context->save(0, saved));
  auto reseal = [](std::vector<uint8_t> &bytes) {
    auto sum = [&](size_t from, size_t to) {
      uint64_t result = 0xcbf29ce484222325u, word;
      for (; from + 8 <= to; from += 8) {
        std::memcpy(&word, bytes.data() + from, 8);
        result = (result ^ word) * 0x100000001b3u;
      }
      return result;
    };
    uint64_t checksum = sum(0, 56) ^ sum(64, bytes.size());
    std::memcpy(bytes.data() + 56, &checksum, 8);
  };
  auto put32 = [&](size_t at, int32_t value) {
    auto bytes = saved;
    std::memcpy(bytes.data() + at, &value, 4);
    reseal(bytes);
    return context->restore(1, bytes).has_value();
  };
  int32_t length = 40;
  EXPECT_TRUE(put32(24, length)); // nothing changed: the seal is right
  for (int32_t value : {-1, 39, 49, 257, 1 << 30}) {
    EXPECT_FALSE(put32(24, value)) << "length " << value;
    EXPECT_FALSE(put32(48, value)) << "ready " << value;
    EXPECT_FALSE(put32(52, value)) << "checkpoints " << value;
  }
  EXPECT_FALSE(put32(64, FAKE_VOCAB));
  if (!fixed())
    return;
  size_t table = 64 + 192; // after 40 ids
  EXPECT_TRUE(put32(table + 8, 0));
  EXPECT_FALSE(put32(table + 8, 7)) << "kind";
  EXPECT_FALSE(put32(table + 12, 2)) << "hasRow";
  for (int32_t value : {-1, 0, 41, 1 << 30})
    EXPECT_FALSE(put32(table, value)) << "length of a checkpoint " << value;
}

TEST_P(Sequence, EvaluatingAllocatesNothing) {
  auto context = make(3);
  auto ids = countingTokens(200);
  std::vector<int32_t> slots(ids.size());
  llmc_eval_request request{};
  request.tokens = ids.data();
  request.count = 130;
  request.want = LLMC_WANT_LAST;
  llmc_eval_request single = request;
  single.count = 1;
  int64_t before = allocations;
  ASSERT_TRUE(context->eval(request));
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(context->eval(single));
  ASSERT_TRUE(context->fork(0, 1));
  ASSERT_TRUE(context->rollback(1, 77));
  single.slot = 1;
  ASSERT_TRUE(context->eval(single));
  EXPECT_EQ(before, allocations);
}

TEST_P(Sequence, MemoryOfCheckpointsIsPlanned) {
  auto plan = [&](ContextOptions options, int64_t available = int64_t(1) << 40) {
    options.threads = 1;
    auto planned = planContext(*openFake(artifactOf(GetParam())), options, available);
    return planned ? std::pair(planned->checkpoints, planned->allCheckpointBytes) : std::pair<int64_t, int64_t>(-1, -1);
  };
  using Plan = std::pair<int64_t, int64_t>;
  int64_t copy = 4096; // two layers and a row of logits, on pages of their own
  EXPECT_EQ(fixed() ? Plan(8, 8 * 2 * copy) : Plan(0, 0), plan({.slots = 2}));
  EXPECT_EQ(fixed() ? Plan(2, 2 * 2 * copy) : Plan(0, 0), plan({.slots = 2}, 8 * 2 * 2 * copy));
  EXPECT_EQ(Plan(0, 0), plan({.slots = 2}, 1000));
  EXPECT_EQ(Plan(0, 0), plan({.checkpoints = -1}));
  EXPECT_EQ(Plan(-1, -1), plan({.checkpoints = 65}));
}

// ---- Generating -----------------------------------------------------------------------------------------------------

struct Turn {
  llmc_generate_stats stats{};
  std::vector<TokenId> drawn;
  int64_t promptDone = -1;
};

Turn generateFrom(Context &context, const std::vector<TokenId> &prompt, int64_t count, uint32_t flags = LLMC_IGNORE_EOS) {
  Turn turn;
  llmc_generate_options options{};
  options.tokens = prompt.data();
  options.token_count = int64_t(prompt.size());
  options.max_tokens = count;
  options.flags = flags;
  options.user = &turn;
  options.on_token = [](void *user, TokenId id, const float *, int64_t) -> int32_t {
    static_cast<Turn *>(user)->drawn.push_back(id);
    return 0;
  };
  options.on_prompt = [](void *user, int64_t done, int64_t) -> int32_t {
    static_cast<Turn *>(user)->promptDone = done;
    return 0;
  };
  auto done = generate(context, options, turn.stats);
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_EQ(turn.stats.prompt_tokens, turn.promptDone);
  return turn;
}

TEST_P(Sequence, ASecondTurnEvaluatesOnlyNewTokens) {
  auto context = make();
  auto prompt = countingTokens(50);
  Turn first = generateFrom(*context, prompt, 10);
  auto second = joined(joined(prompt, first.drawn), {3, 1, 4});
  Turn turn = generateFrom(*context, second, 5);
  EXPECT_EQ(59, turn.stats.cached_tokens); // the last token drawn was not evaluated
  expectHolds(*context, joined(second, firstOf(turn.drawn, 4)));
}

TEST_P(Sequence, ThePromptAgainIsThereAlready) {
  auto context = make();
  auto prompt = countingTokens(50);
  Turn first = generateFrom(*context, prompt, 10), again = generateFrom(*context, prompt, 10);
  EXPECT_EQ(fixed() ? 50 : 49, again.stats.cached_tokens); // its logits are kept with the checkpoint
  EXPECT_EQ(first.drawn, again.drawn);
  Turn none = generateFrom(*context, prompt, 10, LLMC_IGNORE_EOS | LLMC_NO_PREFIX_REUSE);
  EXPECT_EQ(0, none.stats.cached_tokens);
  EXPECT_EQ(first.drawn, none.drawn);
}

TEST_P(Sequence, AnotherAnswerToTheFirstTurnStartsFromItsEnd) {
  auto context = make();
  auto prompt = countingTokens(50);
  generateFrom(*context, prompt, 15);
  Turn other = generateFrom(*context, joined(prompt, {9, 9, 9}), 5);
  EXPECT_EQ(50, other.stats.cached_tokens);
  expectHolds(*context, joined(joined(prompt, {9, 9, 9}), firstOf(other.drawn, 4)));
}

TEST_P(Sequence, PromptsThatShareABeginningLearnWhereTheyPart) {
  auto context = make();
  auto shared = countingTokens(41);
  Turn first = generateFrom(*context, joined(shared, countingTokens(30, 1)), 4);
  Turn second = generateFrom(*context, joined(shared, countingTokens(30, 2)), 4);
  Turn third = generateFrom(*context, joined(shared, countingTokens(30, 3)), 4);
  EXPECT_EQ(0, first.stats.cached_tokens);
  EXPECT_EQ(fixed() ? 0 : 41, second.stats.cached_tokens); // the checkpoints are all beyond
  EXPECT_EQ(41, third.stats.cached_tokens);
  expectHolds(*context, joined(joined(shared, countingTokens(30, 3)), firstOf(third.drawn, 3)));
}

std::string kindName(const testing::TestParamInfo<Kind> &info) {
  constexpr const char *names[] = {"Attention", "Recurrent", "Hybrid"};
  return names[size_t(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Kinds, Sequence, testing::Values(Kind::Attention, Kind::Recurrent, Kind::Hybrid), kindName);

// Long sequences lie in huge pages, from some way into each layer; the beginning of a layer and its end do not. Where the system gives none,
// they lie in small ones, and hold the same.
TEST(CacheMemory, growsIntoHugePages) {
  constexpr int64_t positionBytes = 2048, context = 8192, layerBytes = positionBytes * context;
  const llmc_state kind{.name = "kv", .layers = 2, .bytes_per_position = positionBytes, .fixed_bytes = 0};
  llmc_artifact artifact{};
  artifact.state_count = 1, artifact.states = &kind;
  auto states = States::reserve(artifact, context, 1);
  ASSERT_TRUE(states);
  states->preferHugePages();
  uint8_t *start = states->starts()[0];
  for (int64_t layer = 0; layer < 2; ++layer) {
    uint8_t *run = start + layer * layerBytes;
    std::memset(run, 1, 1024);
    EXPECT_EQ(hugePagesOf(run + layerBytes / 2), 0) << "a short sequence takes no huge page";
    std::memset(run, 1, layerBytes);
    if (hasHugePages())
      EXPECT_GT(hugePagesOf(run + layerBytes / 2), layerBytes / 2);
    else
      EXPECT_EQ(hugePagesOf(run + layerBytes / 2), 0);
    EXPECT_EQ(std::count(run, run + layerBytes, 1), layerBytes);
  }
}

} // namespace
} // namespace llmc
