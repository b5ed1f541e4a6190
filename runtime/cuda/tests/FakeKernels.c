// The fake model (runtime/abi/tests) as kernels for the fake driver: one thread a block, blocks one after the other.
#include "runtime/abi/tests/FakeModel.c"

#include <stdlib.h>

#define EXPORTED __attribute__((visibility("default")))

static int64_t block, blocks;

EXPORTED void llmc_run_grid(void (*kernel)(uint64_t, uint64_t), uint64_t a, uint64_t b, int64_t count, int64_t threads, int64_t shared,
                            int64_t backwards) {
  if (threads != FAKE_GPU_THREADS || shared != FAKE_GPU_SHARED)
    abort();
  blocks = count;
  for (int64_t i = 0; i < count; ++i) {
    block = backwards ? count - 1 - i : i;
    kernel(a, b);
  }
}

// Phase 2 is launched for each layer, the others once.
static void phase(const struct llmc_step *step, int64_t number, int64_t layer, int cache, int recurrence) {
  int64_t *digests = (int64_t *)step->arena; // [T]
  memset(step->scratch + block * FAKE_SCRATCH, (int)block, FAKE_SCRATCH);
  for (int64_t t = block; number == 0 && t < step->tokens; t += blocks) {
    digests[t] = 0;
    if (cache)
      writeState(step, t);
  }
  for (int64_t t = block; number == 1 && t < step->tokens; t += blocks)
    if (cache)
      digests[t] = cacheDigest(step, t);
  if (number == 2 && block == 0 && recurrence >= 0)
    advance(step, recurrence, layer, digests);
  for (int64_t row = block; number == 3 && row < step->rows; row += blocks)
    writeRow(step, row, digests[step->row_tokens[row]]);
}

// These blocks can't wait for one another: the first does all of it.
static void whole(const struct llmc_step *step, int cache, int recurrence) {
  int64_t given = blocks;
  for (int i = 0; i < 16; ++i)
    if (((const int64_t *)step->team)[i] != 0)
      abort();
  memset(step->scratch + block * FAKE_SCRATCH, (int)block, FAKE_SCRATCH);
  if (block != 0)
    return;
  blocks = 1;
  for (int64_t number = 0; number < 4; ++number)
    for (int64_t layer = 0; layer < (number == 2 ? FAKE_LAYERS : 1); ++layer)
      phase(step, number, layer, cache, recurrence);
  blocks = given;
}

#define PHASE(kind, number, cache, recurrence)                                                                         \
  EXPORTED void kind##_phase_##number(uint64_t step, uint64_t layer) {                                                 \
    phase((const struct llmc_step *)step, number, (int64_t)layer, cache, recurrence);                                  \
  }
#define KERNELS(kind, cache, recurrence)                                                                               \
  EXPORTED void kind##_step(uint64_t step, uint64_t unused) {                                                          \
    (void)unused;                                                                                                      \
    whole((const struct llmc_step *)step, cache, recurrence);                                                          \
  }                                                                                                                    \
  PHASE(kind, 0, cache, recurrence)                                                                                    \
  PHASE(kind, 1, cache, recurrence)                                                                                    \
  PHASE(kind, 2, cache, recurrence)                                                                                    \
  PHASE(kind, 3, cache, recurrence)
KERNELS(attention, 1, -1)
KERNELS(hybrid, 1, 1)
