// A "compiled model" by hand: everything that an artifact exports, with a step simple enough to check by eye.
//
// The next token after id x is x + 1 (modulo the vocabulary), by a margin that depends on the whole sequence, read back
// from the state: what rollback, fork and restore get wrong shows in the logits. Token 63 makes them NaN.
#include "FakeModel.h"

#include <stddef.h>
#include <string.h>

// Blocks of 16 positions: this state's layer is an array of one 16-byte cell a position.
struct Cell {
  int32_t token, position, layer, slot;
};

static int64_t claim(struct llmc_team *team) { return __atomic_fetch_add(&team->next_tile, 1, __ATOMIC_RELAXED); }

static struct Cell *cellOf(const struct llmc_step *step, int64_t slot, int64_t layer, int64_t position) {
  uint8_t *start = step->states[0] + slot * step->state_slot_bytes[0] + layer * step->state_layer_bytes[0];
  return (struct Cell *)start + position;
}

static void writeState(const struct llmc_step *step, int64_t t) {
  for (int32_t layer = 0; layer < FAKE_LAYERS; ++layer) {
    struct Cell cell = {step->token_ids[t], step->positions[t], layer, step->slots[t]};
    *cellOf(step, cell.slot, layer, cell.position) = cell;
  }
}

// Depends on every token up to t; -1 if the state holds something that does not belong there. The slot that wrote
// a cell does not count: sequences are copied between slots.
static int64_t digest(const struct llmc_step *step, int64_t t) {
  int64_t sum = step->weights ? step->weights[0][0] : 0;
  for (int32_t position = 0; position <= step->positions[t]; ++position)
    for (int32_t layer = 0; layer < FAKE_LAYERS; ++layer) {
      const struct Cell *cell = cellOf(step, step->slots[t], layer, position);
      if (cell->position != position || cell->layer != layer)
        return -1;
      sum = (sum * 31 + cell->token + 1) % 9973;
    }
  return sum;
}

static void writeRow(const struct llmc_step *step, int64_t row) {
  int64_t t = step->row_tokens[row];
  int32_t next = (step->token_ids[t] + 1) % FAKE_VOCAB;
  float margin = 1.0f + (float)digest(step, t) / 16384.0f;
  float *logits = step->logits + row * FAKE_VOCAB;
  for (int v = 0; v < FAKE_VOCAB; ++v)
    logits[v] = v == next ? margin : -(float)v / 1024.0f;
  if (step->token_ids[t] == FAKE_NAN_TOKEN)
    logits[5] = __builtin_nanf("");
  for (int h = 0; h < FAKE_HIDDEN; ++h)
    step->hidden[row * FAKE_HIDDEN + h] = margin + (float)h;
}

static void run(const struct llmc_step *step, int64_t worker) {
  memset(step->scratch + worker * FAKE_SCRATCH, (int)worker, FAKE_SCRATCH);
  for (int64_t t; (t = claim(step->team)) < step->tokens;) {
    writeState(step, t);
    step->arena[t] = 1;
  }
  step->team->barrier(step->team);
  for (int64_t row; (row = claim(step->team)) < step->rows;)
    writeRow(step, row);
}

static const struct llmc_entry entries[] = {
    {1, 64, FAKE_SCRATCH, run}, {4, 64, FAKE_SCRATCH, run}, {16, 64, FAKE_SCRATCH, run}};
static const struct llmc_isa isas[] = {{"impossible", "sse2 no_such_feature", 3, entries}, {"generic", "", 3, entries}};
static const struct llmc_state states[] = {{"kv", FAKE_LAYERS, sizeof(struct Cell), 0}};
static const uint8_t generationConfig[] = "{\"do_sample\": false, \"eos_token_id\": [40, 41]}";
#ifdef FAKE_TOKENIZER
static const _Alignas(64) uint8_t tokenizer[] = {
#include FAKE_TOKENIZER
};
#endif
static const struct llmc_asset assets[] = {
    {"generation_config", generationConfig, sizeof generationConfig - 1},
#ifdef FAKE_TOKENIZER
    {"tokenizer", tokenizer, sizeof tokenizer},
#endif
};
#ifdef FAKE_WEIGHT_FILE
static const struct llmc_weight weights[] = {{"w[0]", 64, 64}};
#endif

const struct llmc_artifact llmc_model = {
    .abi = LLMC_ARTIFACT_ABI,
    .struct_size = sizeof(struct llmc_artifact),
    .metadata = "{\"family\": \"fake\"}",
    .vocab = FAKE_VOCAB,
    .hidden = FAKE_HIDDEN,
    .context = 256,
    .isa_count = 2,
    .isas = isas,
#ifdef FAKE_WEIGHT_FILE
    .weight_count = 1,
    .weights = weights,
    .weight_bytes = 128,
    .weight_id = FAKE_WEIGHT_ID,
    .weight_file = FAKE_WEIGHT_FILE,
#else
    .weight_file = "",
#endif
    .state_count = 1,
    .states = states,
    .asset_count = sizeof assets / sizeof assets[0],
    .assets = assets,
};
