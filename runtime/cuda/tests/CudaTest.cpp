// The driver, which GPU is taken, and what is said when none is.
#include "runtime/cuda/tests/FakeGpu.h"

#include "runtime/cuda/DeviceChoice.h"
#include "runtime/cuda/Driver.h"

namespace llmc {
namespace {

TEST(DeviceChoice, IsRead) {
  using Kind = DeviceChoice::Kind;
  EXPECT_EQ(parseDevice("")->kind, Kind::Auto);
  EXPECT_EQ(parseDevice("auto")->kind, Kind::Auto);
  EXPECT_EQ(parseDevice("cpu")->kind, Kind::Cpu);
  auto any = parseDevice("cuda"), graph = parseDevice("cuda/graph"), second = parseDevice("cuda:1/persistent");
  ASSERT_TRUE(any && graph && second);
  EXPECT_TRUE(any->kind == Kind::Cuda && !any->index && !any->way);
  EXPECT_TRUE(!graph->index && graph->way == LaunchWay::Graph);
  EXPECT_TRUE(second->index == 1 && second->way == LaunchWay::Persistent);
}

TEST(DeviceChoice, OthersAreRefused) {
  for (const char *text : {"gpu", "cuda:", "cuda:-1", "cuda:1x", "cuda/", "cuda/fast", "cuda1", "cpu/graph", "cuda:99999999999"}) {
    auto choice = parseDevice(text);
    ASSERT_FALSE(choice) << text;
    EXPECT_EQ(choice.error().code, ErrorCode::InvalidInput);
    EXPECT_EQ(choice.error().message, "device: want auto, cpu, cuda or cuda:N, the last two also with /graph or /persistent, got '" + std::string(text) + "'");
  }
}

TEST(Driver, AbsentOrTooOldLibrariesAreNamed) {
  auto absent = Driver::load("libcuda-absent.so.1");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().message, "libcuda-absent.so.1 (the GPU's driver) is not installed");
  EXPECT_EQ(absent.error().code, ErrorCode::InvalidInput);
  auto other = Driver::load("libm.so.6");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message, "libm.so.6 has no cuInit: the GPU's driver is older than CUDA 11.4; update it");
  EXPECT_EQ(other.error().code, ErrorCode::Unsupported);
}

TEST(Driver, ErrorsNameCallCauseAndRemedy) {
  FakeGpu fake;
  auto driver = Driver::open();
  ASSERT_TRUE(driver) << driver.error().message;
  EXPECT_TRUE((*driver)->check("cuInit", 0));
  EXPECT_EQ((*driver)->check("cuMemAlloc", 2).error().message,
            "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (out of memory): a smaller context (-c) or fewer slots take less");
  EXPECT_EQ((*driver)->check("cuMemAlloc", 2).error().code, ErrorCode::InvalidInput);
  EXPECT_EQ((*driver)->check("cuLaunchKernel", 700).error().code, ErrorCode::Internal);
  EXPECT_EQ((*driver)->check("cuModuleLoadDataEx", 222).error().code, ErrorCode::Unsupported);
  EXPECT_EQ((*driver)->check("cuLaunchKernel", 12345).error().message,
            "cuLaunchKernel: error 12345 (as the fake was told): run with --device cpu, and report this");
}

TEST(GpuDevice, TellsWhatItIs) {
  FakeGpu fake("compute=8.6,sms=7,cooperative=0,managed=1,memory=24G,devices=2");
  auto gpus = listGpus(**Driver::open());
  ASSERT_TRUE(gpus) << gpus.error().message;
  ASSERT_EQ(gpus->size(), 2u);
  const GpuFacts &facts = (*gpus)[1];
  EXPECT_EQ(facts.title(), "GPU 1 (Fake 1)");
  EXPECT_EQ(facts.compute, 86);
  EXPECT_EQ(facts.processors, 7);
  EXPECT_FALSE(facts.cooperative);
  EXPECT_TRUE(facts.sharesMemory);
  EXPECT_EQ(facts.memoryBytes, int64_t(24) << 30);
}

// ---- Which GPU ------------------------------------------------------------------------------------------------------

const llmc_artifact &fatArtifact() {
  static const llmc_artifact artifact = withGpu(llmc_model, attentionGpu());
  return artifact;
}

// What opening says; the place where it runs if it opens.
std::string placeOf(const std::string &settings, const std::string &device, const llmc_artifact &artifact = fatArtifact()) {
  FakeGpu fake(settings);
  auto model = LoadedModel::open(artifact, "/x/model.so", {.device = device});
  return model ? (*model)->device() : std::to_string(int(model.error().code)) + " " + model.error().message;
}

std::string noteOf(const std::string &settings, const std::string &device) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(placeOf(settings, device), "cpu");
  return testing::internal::GetCapturedStderr();
}

TEST(GpuChoice, TakesTheFirstThatFits) {
  EXPECT_EQ(placeOf("", ""), "cuda:0/persistent");
  EXPECT_EQ(placeOf("", "auto"), "cuda:0/persistent");
  EXPECT_EQ(placeOf("", "cuda"), "cuda:0/persistent");
  EXPECT_EQ(placeOf("devices=2", "cuda:1"), "cuda:1/persistent");
  EXPECT_EQ(placeOf("", "cuda/graph"), "cuda:0/graph");
  EXPECT_EQ(placeOf("cooperative=0", ""), "cuda:0/graph");
}

TEST(GpuChoice, TheCpuIsTakenWithoutALook) {
  EXPECT_EQ(noteOf("fail=cuDeviceGetAttribute", "cpu"), "");
  EXPECT_EQ(placeOf("", "", llmc_model), "cpu");
  FakeGpu fake;
  auto model = LoadedModel::open(fatArtifact(), "/x/model.so", {.isa = "generic"});
  ASSERT_TRUE(model);
  EXPECT_EQ((*model)->device(), "cpu");
}

TEST(GpuChoice, TheLevelIsTheGpusCode) {
  FakeGpu fake;
  auto model = LoadedModel::open(fatArtifact(), "/x/model.so");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_STREQ((*model)->isa().name, "sm_80");
  EXPECT_EQ((*model)->maxStepTokens(), 16);
  EXPECT_EQ((*model)->gpu()->blocks(), 3);
  EXPECT_EQ((*model)->availableBytes(), int64_t(8) << 30) << "an embedded-less model has no weights to upload";
}

TEST(GpuChoice, RefusalsSayWhy) {
  EXPECT_EQ(placeOf("", "cuda", llmc_model), "1 device cuda: the model holds no code for GPUs: compile it with --target cuda");
  EXPECT_EQ(placeOf("compute=7.5", "cuda"), "3 device cuda: GPU 0 (Fake 0) has compute capability 7.5: the model holds code for 8.0 and later");
  EXPECT_EQ(placeOf("", "cuda:3"), "1 device cuda:3: cuda:3: there are GPUs 0 … 0");
  EXPECT_EQ(placeOf("devices=0", "cuda"), "1 device cuda: the driver finds none (CUDA_VISIBLE_DEVICES hides those it does not name)");
  EXPECT_EQ(placeOf("memory=100M", "cuda"),
            "1 device cuda: GPU 0 (Fake 0) has 100.0 MiB of memory free, the model needs 256.0 MiB and its context");
  EXPECT_EQ(placeOf("cooperative=0", "cuda/persistent"), "3 device cuda/persistent: GPU 0 (Fake 0) has no cooperative launches: leave out /persistent");
  EXPECT_EQ(placeOf("managed=0", "cuda"), "3 device cuda: GPU 0 (Fake 0) can't share memory with the CPU while it works (virtual GPUs and WSL can't)");
  EXPECT_EQ(placeOf("resident=0", "cuda"),
            "3 device cuda: GPU 0 (Fake 0): a block of attention_step does not fit a multiprocessor; run with --device cuda/graph");
  EXPECT_EQ(placeOf("devices=2,compute=7.0", "cuda"),
            "3 device cuda: GPU 0 (Fake 0) has compute capability 7.0: the model holds code for 8.0 and later; "
            "GPU 1 (Fake 1) has compute capability 7.0: the model holds code for 8.0 and later");
}

TEST(GpuChoice, WithoutAWishTheCpuRunsAndTheReasonIsSaid) {
  EXPECT_EQ(noteOf("compute=7.5", ""),
            "no GPU: GPU 0 (Fake 0) has compute capability 7.5: the model holds code for 8.0 and later; running on the CPU\n");
  EXPECT_EQ(noteOf("devices=0", "auto"),
            "no GPU: the driver finds none (CUDA_VISIBLE_DEVICES hides those it does not name); running on the CPU\n");
}

TEST(GpuChoice, WhatTheAssemblerSaysIsTold) {
  EXPECT_EQ(placeOf("fail=cuModuleLoadDataEx:218", "cuda"),
            "3 device cuda: sm_80 code on GPU 0 (Fake 0): cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX (as the fake was told): update the GPU's driver, "
            "or run with --device cpu [ptxas fatal   : no kernel in the image]");
}

TEST(GpuChoice, AKernelThatIsNotThereIsNamed) {
  llmc_gpu gpu = attentionGpu();
  gpu.ptx = ".entry other(\n";
  llmc_artifact artifact = withGpu(llmc_model, gpu);
  EXPECT_EQ(placeOf("", "cuda", artifact).substr(0, 75), "2 device cuda: cuModuleGetFunction attention_step: CUDA_ERROR_NOT_FOUND (as");
}

// The better of two codes that the GPU can run.
TEST(GpuChoice, TakesTheBestCode) {
  FakeGpu fake("compute=8.9");
  llmc_gpu gpus[] = {attentionGpu(), attentionGpu()};
  gpus[0].name = "sm_90", gpus[0].compute = 90;
  llmc_artifact artifact = withGpu(llmc_model, gpus[0]);
  artifact.gpu_count = 2;
  auto model = LoadedModel::open(artifact, "/x/model.so");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_STREQ((*model)->isa().name, "sm_80");
  fake.set("compute=9.0");
  model = LoadedModel::open(artifact, "/x/model.so");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_STREQ((*model)->isa().name, "sm_90");
}

TEST(GpuChoice, InconsistentCodeIsRefused) {
  llmc_gpu gpu = attentionGpu();
  gpu.threads = 0;
  EXPECT_EQ(placeOf("", "cpu", withGpu(llmc_model, gpu)), "2 the artifact's descriptor is inconsistent");
}

} // namespace
} // namespace llmc
