// What the tests of runtime/cuda share: the fake driver loaded, and fake models with code for it.
#pragma once

#include "runtime/abi/tests/EngineFixture.h"

#include <cstdlib>
#include <dlfcn.h>

namespace llmc {

// As LLMC_FAKE_CUDA (FakeCuda.cpp) for as long as it lives. The driver is loaded before anybody looks for it.
class FakeGpu {
public:
  explicit FakeGpu(const std::string &settings = "") {
    static void *driver = ::dlopen(LLMC_FAKE_CUDA, RTLD_NOW);
    EXPECT_NE(driver, nullptr) << ::dlerror();
    ::setenv("LLMC_FAKE_CUDA_CODE", LLMC_FAKE_KERNELS, 1);
    set(settings);
  }
  ~FakeGpu() { ::unsetenv("LLMC_FAKE_CUDA"); }
  void set(const std::string &settings) { ::setenv("LLMC_FAKE_CUDA", settings.c_str(), 1); }
};

inline void launchFake(const llmc_step *, llmc_launcher *launcher) {
  for (int64_t phase = 0; phase < 4; ++phase)
    for (int64_t layer = 0; layer < (phase == 2 ? FAKE_LAYERS : 1); ++layer)
      launcher->launch(launcher, phase, layer);
}

#define FAKE_GPU_ENTRIES(kind)                                                                                         \
  static const char *const phases[] = {#kind "_phase_0", #kind "_phase_1", #kind "_phase_2", #kind "_phase_3"};        \
  static const llmc_gpu_entry entries[] = {                                                                            \
      {1, 128, FAKE_SCRATCH, FAKE_GPU_SHARED, #kind "_step", 4, phases, launchFake, 1},                                \
      {4, 128, FAKE_SCRATCH, FAKE_GPU_SHARED, #kind "_step", 4, phases, launchFake, 0},                                \
      {16, 128, FAKE_SCRATCH, FAKE_GPU_SHARED, #kind "_step", 4, phases, launchFake, 8}};                              \
  static const llmc_gpu gpu = {"sm_80", 80, FAKE_GPU_THREADS,                                                          \
                               ".version 7.0\n.visible .entry " #kind "_step(\n.entry " #kind "_phase_0(\n.entry " #kind \
                               "_phase_1(\n.entry " #kind "_phase_2(\n.entry " #kind "_phase_3(\n",                    \
                               nullptr, 0, 3, entries};

inline const llmc_gpu &attentionGpu() {
  FAKE_GPU_ENTRIES(attention)
  return gpu;
}
inline const llmc_gpu &hybridGpu() {
  FAKE_GPU_ENTRIES(hybrid)
  return gpu;
}

// The artifact with this code for GPUs too.
inline llmc_artifact withGpu(const llmc_artifact &artifact, const llmc_gpu &gpu) {
  llmc_artifact copy = artifact;
  copy.gpu_count = 1;
  copy.gpus = &gpu;
  return copy;
}

} // namespace llmc
