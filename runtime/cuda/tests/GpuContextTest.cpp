// Contexts on a GPU: the same rows and sequences as on the CPU, launched both ways.
#include "runtime/cuda/GpuLimits.h"
#include "runtime/cuda/tests/FakeGpu.h"

#include <cstring>
#include <fstream>

namespace llmc {
namespace {

class FakeGpuTest : public testing::Test {
protected:
  std::shared_ptr<const LoadedModel> open(const llmc_artifact &artifact, const char *device) {
    auto model = LoadedModel::open(artifact, "fake.so", {.device = device});
    EXPECT_TRUE(model) << model.error().message;
    return model ? *model : nullptr;
  }
  std::unique_ptr<Context> make(const llmc_artifact &artifact, const char *device) {
    auto context = Context::create(open(artifact, device), {.context = 100, .slots = 3, .threads = 2});
    EXPECT_TRUE(context) << context.error().message;
    return context ? std::move(*context) : nullptr;
  }
  std::unique_ptr<Context> onCpu() { return make(fat, "cpu"); }

  FakeGpu fake;
  const llmc_artifact fat = withGpu(fake_hybrid, hybridGpu());
};

// device, settings of the fake
class GpuContext : public FakeGpuTest, public testing::WithParamInterface<std::pair<const char *, const char *>> {
protected:
  void SetUp() override { fake.set(GetParam().second); }
  std::unique_ptr<Context> onGpu() { return make(fat, GetParam().first); }
};

INSTANTIATE_TEST_SUITE_P(Ways, GpuContext,
                         testing::Values(std::pair("cuda/persistent", ""), std::pair("cuda/graph", ""), std::pair("cuda/graph", "backwards=1,sms=5")),
                         [](const auto &info) { return info.index == 0 ? "Persistent" : info.index == 1 ? "Graph" : "GraphBackwards"; });

TEST_P(GpuContext, GivesTheCpusRows) {
  auto gpu = onGpu(), cpu = onCpu();
  auto ids = countingTokens(50);
  EXPECT_EQ(evalRows(*gpu, ids, LLMC_WANT_ALL), evalRows(*cpu, ids, LLMC_WANT_ALL));
  for (TokenId id : {1, 2, 3})
    EXPECT_EQ(evalRows(*gpu, {id}), evalRows(*cpu, {id}));
}

TEST_P(GpuContext, GivesHiddenRowsAndTheOwnBuffer) {
  auto gpu = onGpu(), cpu = onCpu();
  auto ids = countingTokens(20);
  auto hiddenOf = [&](Context &context) {
    std::vector<float> hidden(20 * FAKE_HIDDEN);
    llmc_eval_request request{};
    request.tokens = ids.data();
    request.count = 20;
    request.want = LLMC_WANT_ALL;
    request.hidden = hidden.data();
    EXPECT_TRUE(context.eval(request));
    return hidden;
  };
  EXPECT_EQ(hiddenOf(*gpu), hiddenOf(*cpu));
  ASSERT_EQ(gpu->lastLogits().size(), size_t(FAKE_VOCAB));
  EXPECT_EQ(std::vector<float>(gpu->lastLogits().begin(), gpu->lastLogits().end()),
            std::vector<float>(cpu->lastLogits().begin(), cpu->lastLogits().end()));
}

TEST_P(GpuContext, GivesTheBestTokens) {
  auto gpu = onGpu(), cpu = onCpu();
  for (int64_t count : {1, 16, 3}) { // entries with and without panels
    auto ids = countingTokens(count, 5);
    auto best = [&](Context &context) {
      std::vector<int32_t> found(20);
      llmc_eval_request request{};
      request.tokens = ids.data();
      request.count = count;
      request.want = LLMC_WANT_LAST;
      request.best = 20;
      request.best_ids = found.data();
      EXPECT_TRUE(context.eval(request));
      return found;
    };
    EXPECT_EQ(best(*gpu), best(*cpu)) << count;
  }
}

TEST_P(GpuContext, SequencesRollBackForkAndAreKept) {
  auto gpu = onGpu(), cpu = onCpu();
  auto ids = countingTokens(40);
  for (Context *context : {gpu.get(), cpu.get()}) {
    evalRows(*context, ids);
    ASSERT_TRUE(context->rollback(0, 23));
    evalRows(*context, {7, 8});
    ASSERT_TRUE(context->fork(0, 1));
  }
  EXPECT_EQ(evalRows(*gpu, {9, 10}, LLMC_WANT_ALL, 1), evalRows(*cpu, {9, 10}, LLMC_WANT_ALL, 1));
  EXPECT_EQ(evalRows(*gpu, {11}, LLMC_WANT_ALL, 0), evalRows(*cpu, {11}, LLMC_WANT_ALL, 0));

  // What one side kept, the other continues: the bytes are the same.
  std::vector<uint8_t> kept(size_t(gpu->saveBytes(1))), other(size_t(cpu->saveBytes(1)));
  ASSERT_TRUE(gpu->save(1, kept));
  ASSERT_TRUE(cpu->save(1, other));
  ASSERT_TRUE(cpu->restore(2, kept));
  ASSERT_TRUE(gpu->restore(2, other));
  EXPECT_EQ(evalRows(*gpu, {12}, LLMC_WANT_ALL, 2), evalRows(*cpu, {12}, LLMC_WANT_ALL, 2));
  ASSERT_TRUE(gpu->clear(1));
  ASSERT_TRUE(cpu->clear(1));
  EXPECT_EQ(evalRows(*gpu, ids, LLMC_WANT_ALL, 1), evalRows(*cpu, ids, LLMC_WANT_ALL, 1));
}

TEST_P(GpuContext, ContextsOfAModelAreIndependent) {
  auto model = open(fat, GetParam().first);
  auto first = Context::create(model, {.context = 64}), second = Context::create(model, {.context = 100, .slots = 2});
  ASSERT_TRUE(first && second);
  auto ids = countingTokens(30);
  auto expected = evalRows(**first, ids);
  EXPECT_EQ(evalRows(**second, ids), expected);
  first->reset();
  EXPECT_EQ(evalRows(**second, ids, LLMC_WANT_LAST, 1), expected);
}

TEST_P(GpuContext, NanIsFound) {
  auto gpu = onGpu();
  TokenId ids[] = {1, FAKE_NAN_TOKEN};
  llmc_eval_request request{};
  request.tokens = ids;
  request.count = 2;
  request.want = LLMC_WANT_LAST;
  auto end = gpu->eval(request);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().message.substr(0, 39), "logits at position 1 of slot 0 are NaN:");
  EXPECT_EQ(gpu->length(0), 0);
}

TEST_P(GpuContext, AFailedStepLeavesTheLengths) {
  auto gpu = onGpu();
  auto ids = countingTokens(10);
  evalRows(*gpu, ids);
  bool graph = gpu->model().gpu()->way() == LaunchWay::Graph;
  for (const char *call : {graph ? "cuGraphLaunch" : "cuLaunchCooperativeKernel", "cuMemcpyHtoDAsync", "cuStreamSynchronize"}) {
    fake.set(std::string("fail=") + call + ":700");
    llmc_eval_request request{};
    request.tokens = ids.data();
    request.count = 1;
    request.want = LLMC_WANT_LAST;
    auto end = gpu->eval(request);
    ASSERT_FALSE(end) << call;
    EXPECT_EQ(end.error().message, std::string(call) + ": CUDA_ERROR_ILLEGAL_ADDRESS (as the fake was told): run with --device cpu, and report this");
    EXPECT_EQ(end.error().code, ErrorCode::Internal);
    EXPECT_EQ(gpu->length(0), 10);
  }
}

TEST_F(FakeGpuTest, ACaptureThatFailsIsEndedAndMadeAgain) {
  auto gpu = make(fat, "cuda/graph"), cpu = onCpu();
  llmc_eval_request request{};
  TokenId id = 3;
  request.tokens = &id;
  request.count = 1;
  request.want = LLMC_WANT_LAST;
  for (const char *call : {"cuLaunchKernel", "cuStreamBeginCapture", "cuGraphInstantiate"}) {
    fake.set(std::string("fail=") + call + ":700");
    auto end = gpu->eval(request);
    ASSERT_FALSE(end) << call;
    EXPECT_EQ(end.error().message.substr(0, std::strlen(call)), call);
  }
  fake.set("");
  EXPECT_EQ(evalRows(*gpu, {3}), evalRows(*cpu, {3}));
}

// As a launch for each phase, whatever the way; the rows stay the same.
TEST_P(GpuContext, ProfilesEachPhase) {
  llmc_artifact artifact = fat;
  std::string sites = R"("sites": [{"name": "a", "weight_bytes": 100}, {"name": "b", "weight_bytes": 800, "matrices": 20, "choices": 1},
    {"name": "c", "row_operations": 3, "arithmetic": "bf16"}, {"name": "d", "row_operations": 2, "wanted": 1}])";
  std::string metadata = R"({"profile": {"sm_80": [{"max_tokens": 1, )" + sites + R"(}, {"max_tokens": 4, )" + sites + R"(}, {"max_tokens": 16, )" + sites + "}]}}";
  artifact.metadata = metadata.c_str();
  auto gpu = make(artifact, GetParam().first), cpu = onCpu();
  ASSERT_TRUE(gpu->beginProfile());
  auto ids = countingTokens(10);
  EXPECT_EQ(evalRows(*gpu, ids), evalRows(*cpu, ids));
  EXPECT_EQ(evalRows(*gpu, {2}), evalRows(*cpu, {2}));
  EXPECT_EQ(evalRows(*gpu, {3}), evalRows(*cpu, {3}));
  auto text = gpu->profileJson();
  ASSERT_TRUE(text) << text.error().message;
  Json profile = Json::parse(*text);
  EXPECT_EQ(profile["limits"]["name"], "Fake 0");
  EXPECT_EQ(profile["limits"]["read_bytes_per_second"], 2 * 5e8 * 512 / 8);
  ASSERT_EQ(profile["versions"].size(), 2u);
  const Json &one = profile["versions"][0], &many = profile["versions"][1];
  EXPECT_EQ(one["steps"], 2);
  EXPECT_EQ(many["steps"], 1);
  const int64_t runs[] = {1, 1, FAKE_LAYERS, 1};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(one["sites"][i]["runs"], 2 * runs[i]) << i;
    EXPECT_EQ(one["sites"][i]["ns"], 2 * runs[i] * 1000) << i;
    EXPECT_EQ(many["sites"][i]["ns"], runs[i] * 1000) << i;
  }
  EXPECT_EQ(one["sites"][0]["bytes"], 2 * 100);
  EXPECT_EQ(one["sites"][1]["bytes"], 2 * 800 / 20); // one of 20 matrices a step
  EXPECT_EQ(many["sites"][1]["bytes"], 800 / 2);      // at most ten
  EXPECT_EQ(many["sites"][2]["operations"], FAKE_LAYERS * 10 * 3);
  gpu->endProfile();
  EXPECT_EQ(evalRows(*gpu, {4}), evalRows(*cpu, {4}));
}

TEST_F(FakeGpuTest, AProfileIsThereOnlyIfItWasCompiled) {
  auto begun = make(fat, "cuda/graph")->beginProfile();
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().message, "the model was compiled without a profile: compile it with --profile");
}

TEST(GpuLimits, AreTheMakers) {
  GpuFacts h100{.compute = 90, .processors = 132, .clockKhz = 1830000, .memoryClockKhz = 2619000, .memoryBusBits = 5120};
  GpuLimits limits = gpuLimits(h100);
  EXPECT_NEAR(limits.readBytesPerSecond, 3.35e12, 1e10);
  EXPECT_NEAR(limits.operationsPerSecond["bf16"], 989e12, 1e12);
  EXPECT_NEAR(limits.operationsPerSecond["f32"], 62e12, 1e12);
  h100.compute = 999;
  EXPECT_TRUE(gpuLimits(h100).operationsPerSecond.empty());
}

TEST_P(GpuContext, WhatDoesNotFitIsSaid) {
  auto model = open(fat, GetParam().first);
  for (auto [call, what] : {std::pair("cuMemAllocManaged", "kv of 12.0 KiB on GPU 0 (Fake 0): cuMemAllocManaged: CUDA_ERROR_OUT_OF_MEMORY"),
                            std::pair("cuMemAlloc", "arena of 128 B on GPU 0 (Fake 0): cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY"),
                            std::pair("cuMemHostAlloc", "logits of 4.0 KiB on GPU 0 (Fake 0): cuMemHostAlloc: CUDA_ERROR_OUT_OF_MEMORY"),
                            std::pair("cuStreamCreate", "cuStreamCreate: CUDA_ERROR_OUT_OF_MEMORY")}) {
    fake.set(std::string("fail=") + call);
    auto context = Context::create(model, {.context = 100, .slots = 3});
    ASSERT_FALSE(context) << call;
    EXPECT_EQ(context.error().message.substr(0, std::strlen(what)), what);
    EXPECT_EQ(context.error().code, ErrorCode::InvalidInput);
  }
  fake.set("memory=1M");
  auto context = Context::create(model, {.context = 100000, .slots = 3});
  ASSERT_FALSE(context);
  EXPECT_NE(context.error().message.find("free; use -c "), std::string::npos) << context.error().message;
}

// The weights that the steps read are those of the file, in chunks or not.
TEST_P(GpuContext, WeightsAreUploaded) {
  constexpr int64_t bytes = (int64_t(40) << 20) + 192;
  std::string folder = testing::TempDir() + "llmc-gpu-weights-" + std::to_string(getpid());
  llmc_weights_header header{};
  std::memcpy(header.magic, LLMC_WEIGHTS_MAGIC, 8);
  const uint8_t id[16] = FAKE_WEIGHT_ID;
  std::memcpy(header.id, id, sizeof id);
  header.bytes = bytes;
  std::string text(reinterpret_cast<const char *>(&header), sizeof header);
  text.resize(size_t(LLMC_WEIGHTS_HEADER_BYTES + bytes));
  for (int64_t i = 0; i < bytes; i += 64)
    text[size_t(LLMC_WEIGHTS_HEADER_BYTES + i)] = char(i / 64 % 251);
  std::ofstream(folder, std::ios::binary) << text;
  llmc_weight weight{"w[0]", bytes - 64, 64}; // the fake model counts its first byte in
  llmc_artifact artifact = fat;
  artifact.weight_count = 1;
  artifact.weights = &weight;
  artifact.weight_bytes = bytes;
  std::memcpy(artifact.weight_id, id, sizeof id);
  std::vector<std::vector<float>> rows;
  for (const char *device : {"cpu", GetParam().first}) {
    auto model = LoadedModel::open(artifact, "fake.so", {.weightsPath = folder, .device = device});
    ASSERT_TRUE(model) << model.error().message;
    auto context = Context::create(*model, {.context = 64, .threads = 1});
    ASSERT_TRUE(context) << context.error().message;
    rows.push_back(evalRows(**context, {1, 2, 3}));
  }
  EXPECT_EQ(rows[0], rows[1]);
  EXPECT_NE(rows[0], evalRows(*onCpu(), {1, 2, 3})) << "the weight counts";
  ::unlink(folder.c_str());
}

} // namespace
} // namespace llmc
