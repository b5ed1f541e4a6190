// A "compiled model" by hand: everything that an artifact exports, with a step simple enough to check by eye.
//
// The next token after id x is x + 1 (modulo the vocabulary), by a margin that depends on the whole sequence, read back
// from the states: what rollback, fork and restore get wrong shows in the logits. Token 63 makes them NaN. Three models share
// the code: with a cache that grows (state 0), with a recurrence that does not (the only state), and with both.
#include "FakeModel.h"

#include <stddef.h>
#include <string.h>

// Blocks of 16 positions: this state's layer is an array of one 16-byte cell a position.
struct Cell {
  int32_t token, position, layer, slot;
};

// The other kind: what the tokens so far left, whatever their number. Any order but theirs, a token lost or one that counted
// twice gives another sum; a count that is not the position, a sum below 0 for good.
struct Recurrence {
  int64_t sum, count, layer;
  int64_t unused[5];
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
static int64_t cacheDigest(const struct llmc_step *step, int64_t t) {
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

// Writes the digest after each token of the step to digests: [T].
static void advance(const struct llmc_step *step, int state, int64_t layer, int64_t *digests) {
  for (int64_t t = 0; t < step->tokens; ++t) {
    uint8_t *start = step->states[state] + step->slots[t] * step->state_slot_bytes[state] + layer * step->state_layer_bytes[state];
    struct Recurrence *held = (struct Recurrence *)start;
    if (step->positions[t] == 0)
      *held = (struct Recurrence){0, 0, layer, {0}};
    int sane = held->sum >= 0 && held->count == step->positions[t] && held->layer == layer;
    held->sum = sane ? (held->sum * 37 + step->token_ids[t] + layer + 1) % 9973 : -1;
    held->count = step->positions[t] + 1;
    digests[t] = digests[t] < 0 || held->sum < 0 ? -1 : (digests[t] * 3 + held->sum) % 9973;
  }
}

// The `best` panels of greatest logits, as llmc_step has them: a NaN is the greatest, of equals the first is taken.
static void writeBest(const struct llmc_step *step, int64_t row, const float *logits) {
  int taken[FAKE_VOCAB / 16] = {0};
  for (int64_t i = row * step->best; i < (row + 1) * step->best; ++i) {
    int chosen = -1;
    float greatest = 0;
    for (int panel = 0; panel < FAKE_VOCAB / 16; ++panel) {
      float here = logits[16 * panel];
      for (int lane = 0; lane < 16; ++lane) {
        float logit = logits[16 * panel + lane];
        here = logit > here || logit != logit ? logit : here;
      }
      if (!taken[panel] && (chosen < 0 || here > greatest || (here != here && greatest == greatest)))
        chosen = panel, greatest = here;
    }
    taken[chosen] = 1;
    step->best_panels[i] = chosen;
    memcpy(step->best_logits + 16 * i, logits + 16 * chosen, 16 * sizeof(float));
  }
}

static void writeRow(const struct llmc_step *step, int64_t row, int64_t digest) {
  int64_t t = step->row_tokens[row];
  int32_t next = (step->token_ids[t] + 1) % FAKE_VOCAB;
  float margin = 1.0f + (float)digest / 16384.0f;
  float own[FAKE_VOCAB], *logits = step->best ? own : step->logits + row * FAKE_VOCAB;
  for (int v = 0; v < FAKE_VOCAB; ++v)
    logits[v] = v == next ? margin : -(float)v / 1024.0f;
  if (step->token_ids[t] == FAKE_NAN_TOKEN)
    logits[5] = __builtin_nanf("");
  if (step->best)
    writeBest(step, row, logits);
  for (int h = 0; h < FAKE_HIDDEN; ++h)
    step->hidden[row * FAKE_HIDDEN + h] = margin + (float)h;
}

// `cache`: whether state 0 is the one that grows; `recurrence`: the index of the other one, or -1.
static void run(const struct llmc_step *step, int64_t worker, int cache, int recurrence) {
  int64_t *digests = (int64_t *)step->arena; // [T]
  memset(step->scratch + worker * FAKE_SCRATCH, (int)worker, FAKE_SCRATCH);
  for (int64_t t; (t = claim(step->team)) < step->tokens;) {
    digests[t] = 0;
    if (cache)
      writeState(step, t);
  }
  step->team->barrier(step->team);
  for (int64_t t; (t = claim(step->team)) < step->tokens;)
    if (cache)
      digests[t] = cacheDigest(step, t);
  step->team->barrier(step->team);
  if (recurrence >= 0 && claim(step->team) == 0)
    for (int64_t layer = 0; layer < FAKE_LAYERS; ++layer)
      advance(step, recurrence, layer, digests);
  step->team->barrier(step->team);
  for (int64_t row; (row = claim(step->team)) < step->rows;)
    writeRow(step, row, digests[step->row_tokens[row]]);
}

static void runAttention(const struct llmc_step *step, int64_t worker) { run(step, worker, 1, -1); }
static void runRecurrent(const struct llmc_step *step, int64_t worker) { run(step, worker, 0, 0); }
static void runHybrid(const struct llmc_step *step, int64_t worker) { run(step, worker, 1, 1); }

#define FAKE_ARENA (16 * sizeof(int64_t))
#define ENTRIES(name, function)                                                                                        \
  static const struct llmc_entry name##Entries[] = {                                                                   \
      {1, FAKE_ARENA, FAKE_SCRATCH, function, 1}, {4, FAKE_ARENA, FAKE_SCRATCH, function, 0}, {16, FAKE_ARENA, FAKE_SCRATCH, function, 8}}; \
  static const struct llmc_isa name##Isas[] = {{"impossible", "sse2 no_such_feature", 3, name##Entries},               \
                                               {"generic", "", 3, name##Entries}}
ENTRIES(attention, runAttention);
ENTRIES(recurrent, runRecurrent);
ENTRIES(hybrid, runHybrid);
static const struct llmc_state attentionStates[] = {{"kv", FAKE_LAYERS, sizeof(struct Cell), 0}};
static const struct llmc_state recurrentStates[] = {{"r", FAKE_LAYERS, 0, FAKE_FIXED_BYTES}};
static const struct llmc_state hybridStates[] = {{"kv", FAKE_LAYERS, sizeof(struct Cell), 0}, {"r", FAKE_LAYERS, 0, FAKE_FIXED_BYTES}};
static const uint8_t generationConfig[] = "{\"do_sample\": false, \"eos_token_id\": [40, 41]}";
#ifdef FAKE_TOKENIZER
static const _Alignas(64) uint8_t tokenizer[] = {
#include FAKE_TOKENIZER
};
// What was said, without a word between; a message "no" is refused.
static const uint8_t chatTemplate[] =
    "{\"templates\": {\"default\": \"{% for m in messages %}{% if m.content == 'no' %}{{ raise_exception('not that') }}{% endif %}"
    "{{ m.content }}{% endfor %}{{ 'm' if add_generation_prompt else eos_token }}\"}, \"tokens\": {\"eos_token\": \"</s>\"}}";
#endif
static const struct llmc_asset assets[] = {
    {"generation_config", generationConfig, sizeof generationConfig - 1},
#ifdef FAKE_TOKENIZER
    {"tokenizer", tokenizer, sizeof tokenizer},
    {"chat_template", chatTemplate, sizeof chatTemplate - 1},
#endif
};
#ifdef FAKE_WEIGHT_FILE
static const struct llmc_weight weights[] = {{"w[0]", 64, 64}};
#endif

#ifdef FAKE_WEIGHT_FILE
#define FAKE_WEIGHTS .weight_count = 1, .weights = weights, .weight_bytes = 128, .weight_id = FAKE_WEIGHT_ID, .weight_file = FAKE_WEIGHT_FILE
#else
#define FAKE_WEIGHTS .weight_file = ""
#endif

#define ARTIFACT(kind)                                                                                                 \
  {.abi = LLMC_ARTIFACT_ABI,                                                                                           \
   .struct_size = sizeof(struct llmc_artifact),                                                                        \
   .metadata = "{\"family\": \"fake\"}",                                                                               \
   .vocab = FAKE_VOCAB,                                                                                                \
   .hidden = FAKE_HIDDEN,                                                                                              \
   .context = FAKE_CONTEXT,                                                                                            \
   .isa_count = 2,                                                                                                     \
   .isas = kind##Isas,                                                                                                 \
   FAKE_WEIGHTS,                                                                                                       \
   .state_count = sizeof kind##States / sizeof kind##States[0],                                                        \
   .states = kind##States,                                                                                             \
   .asset_count = sizeof assets / sizeof assets[0],                                                                    \
   .assets = assets}

#ifndef FAKE_KIND
#define FAKE_KIND attention
#endif
#define ARTIFACT_OF(kind) ARTIFACT(kind)
const struct llmc_artifact llmc_model = ARTIFACT_OF(FAKE_KIND);
const struct llmc_artifact fake_attention = ARTIFACT(attention);
const struct llmc_artifact fake_recurrent = ARTIFACT(recurrent);
const struct llmc_artifact fake_hybrid = ARTIFACT(hybrid);
