// Sizes of FakeModel.c.
#pragma once

#include "runtime/artifact/Artifact.h"

#define FAKE_VOCAB 64
#define FAKE_HIDDEN 8
#define FAKE_LAYERS 2
#define FAKE_SCRATCH 64
#define FAKE_NAN_TOKEN 63
#define FAKE_CONTEXT 256
#define FAKE_FIXED_BYTES 64
#define FAKE_GPU_THREADS 64
#define FAKE_GPU_SHARED 1024
#define FAKE_WEIGHT_ID {'f', 'a', 'k', 'e', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

// llmc_model is the one that FAKE_KIND names: with an attention cache (the default), a recurrence, or both. A library exports
// only that.
#ifdef __cplusplus
extern "C" {
#endif
extern const struct llmc_artifact fake_attention, fake_recurrent, fake_hybrid;
#ifdef __cplusplus
}
#endif
