// Sizes of FakeModel.c.
#pragma once

#include "runtime/artifact/Artifact.h"

#define FAKE_VOCAB 64
#define FAKE_HIDDEN 8
#define FAKE_LAYERS 2
#define FAKE_SCRATCH 64
#define FAKE_NAN_TOKEN 63
#define FAKE_WEIGHT_ID {'f', 'a', 'k', 'e', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
