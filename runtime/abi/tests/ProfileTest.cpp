// Profiles: what steps tell while they run, from a step that does little else.
#include "runtime/abi/tests/EngineFixture.h"

namespace llmc {
namespace {

// Two loops, the second one twice, and an expert counted for each token.
void profiledStep(const llmc_step *step, int64_t worker) {
  auto mark = [&](int64_t site, int64_t moment) { step->profile->mark(step->profile, worker, site, moment); };
  mark(0, LLMC_PROFILE_BEGIN);
  for (int64_t site : {0, 1, 1, 2}) {
    if (site == 2 && step->tokens == 1) // the small version has two loops
      continue;
    mark(site, LLMC_PROFILE_WORKED);
    step->team->barrier(step->team);
    mark(site, LLMC_PROFILE_PASSED);
  }
  if (worker == 0)
    step->profile->count(step->profile, 0, 2, step->tokens);
  if (worker == 0 && step->tokens > 1)
    step->profile->count(step->profile, 1, 0, 3);
  for (int64_t i = 0; worker == 0 && i < step->rows * FAKE_VOCAB; ++i)
    step->logits[i] = 0;
}

const llmc_artifact &profiled() {
  static const llmc_entry entries[] = {{1, 64, 64, profiledStep, 0}, {16, 64, 64, profiledStep, 0}};
  static const llmc_isa isas[] = {{"generic", "", 2, entries}};
  static const llmc_artifact artifact = [] {
    llmc_artifact copy = fakeArtifact();
    copy.isas = isas;
    copy.isa_count = 1;
    copy.metadata = R"({"profile": {"generic": [
      {"max_tokens": 1, "sites": [{"name": "a"}, {"name": "b"}], "counters": [{"name": "experts", "rows": 3}]},
      {"max_tokens": 16, "sites": [{"name": "a", "row_bytes": 10, "row_operations": 64, "arithmetic": "int8"},
       {"name": "b", "weight_bytes": 1000, "position_bytes": 4, "window": 3, "position_operations": 5},
       {"name": "c", "weight_bytes": 400, "weight_calls": 4, "weight_counter": 1, "row_operations": 8, "wanted": 1}],
       "counters": [{"name": "experts", "rows": 6, "layer_rows": 3}, {"name": "calls", "rows": 1}]}]}})";
    return copy;
  }();
  return artifact;
}

TEST(Profile, CountsRunsBytesAndRows) {
  auto context = makeContext({.context = 100, .slots = 1, .threads = 2}, profiled());
  evalRows(*context, countingTokens(5)); // not timed
  EXPECT_FALSE(context->profileJson());
  ASSERT_TRUE(context->beginProfile());
  evalRows(*context, countingTokens(10));
  evalRows(*context, countingTokens(10));
  auto text = context->profileJson();
  ASSERT_TRUE(text);
  auto json = parseJson(*text, "profile");
  ASSERT_TRUE(json);
  ASSERT_EQ(1u, (*json)["versions"].size()); // the other did not run
  const Json &version = (*json)["versions"][0];
  EXPECT_EQ(16, version["max_tokens"]);
  EXPECT_EQ(2, version["steps"]);
  EXPECT_EQ(20, version["tokens"]);
  const Json &a = version["sites"][0], &b = version["sites"][1];
  EXPECT_EQ("a", a["name"]);
  EXPECT_EQ(2, a["runs"]);
  EXPECT_EQ(20 * 10, a["bytes"]);
  EXPECT_EQ(4, b["runs"]);
  EXPECT_EQ(4 * 1000 + 2 * (12 + 12) * 4, b["bytes"]); // each position once, twice a step: its 10 and 2 before them
  EXPECT_EQ(20 * 64, a["operations"]);
  EXPECT_EQ("int8", a["arithmetic"]);
  EXPECT_EQ(2 * 20 * 3 * 5, b["operations"]); // of a window of 3 positions for each token
  const Json &c = version["sites"][2];
  EXPECT_EQ(400 * 2 * 3 / 4, c["bytes"]);  // in each of two steps 3 of the 4 calls that read all
  EXPECT_EQ(2 * 8, c["operations"]); // one wanted row a step
  EXPECT_EQ(version["ns"].get<int64_t>(), a["ns"].get<int64_t>() + b["ns"].get<int64_t>() + c["ns"].get<int64_t>());
  EXPECT_EQ(Json::parse("[0, 0, 20, 0, 0, 0]"), version["counters"][0]["counts"]);
  EXPECT_EQ(3, version["counters"][0]["layer_rows"]);
  ASSERT_TRUE(context->beginProfile()); // from nothing
  EXPECT_EQ(R"({"versions":[]})", *context->profileJson());
  context->endProfile();
  EXPECT_FALSE(context->profileJson());
}

TEST(Profile, IsRefusedWhereTheModelHasNone) {
  auto begun = makeContext()->beginProfile();
  ASSERT_FALSE(begun);
  EXPECT_EQ(ErrorCode::Unsupported, begun.error().code);
}

TEST(Profile, DamagedDescriptionsAreRefused) {
  llmc_artifact artifact = profiled();
  for (const char *metadata : {R"({"profile": {}})", R"({"profile": 3})", R"({"profile": {"generic": [1]}})",
                               R"({"profile": {"generic": [{}, {"counters": [{"rows": -1}]}]}})",
                               R"({"profile": {"generic": [{}, {"counters": [{"rows": 4, "layer_rows": 0}]}]}})",
                               R"({"profile": {"generic": [{}, {"counters": [{"rows": 4, "layer_rows": 3}]}]}})",
                               R"({"profile": {"generic": [{}, {"sites": [{"weight_calls": 1, "weight_counter": 1}], "counters": [{"rows": 1}]}]}})"}) {
    artifact.metadata = metadata;
    EXPECT_FALSE(makeContext({}, artifact)->beginProfile()) << metadata;
  }
}

} // namespace
} // namespace llmc
