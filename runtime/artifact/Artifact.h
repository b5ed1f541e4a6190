// What a compiled model exports beside the C ABI: one versioned descriptor, and step functions with a plain C signature.
// The compiler emits these as LLVM constants (compiler/codegen/Descriptor.cpp), the engine reads them; both include this header.
// Plain C, pointers and fixed-width integers only, so that the layout is the same on both sides.
#ifndef LLMC_RUNTIME_ARTIFACT_ARTIFACT_H
#define LLMC_RUNTIME_ARTIFACT_ARTIFACT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Raised by one whenever a struct below changes. An engine refuses artifacts of another number.
#define LLMC_ARTIFACT_ABI 6

// The `workers` of one step. The engine owns it; compiled code claims tiles from `next_tile` (atomic add) and calls `barrier`
// between dependent loops. The last worker to arrive sets next_tile to 0 before the others go on.
struct llmc_team {
  int64_t next_tile;
  void (*barrier)(struct llmc_team *team);
  void *engine; // the engine's own data
  int64_t workers;
};

// What a step compiled with --profile tells while it runs; the engine owns it. A site is a parallel loop of the step function, by the
// number that the metadata lists it under (docs/reference/Artifact.md). Every worker calls `mark`.
enum llmc_profile_moment { LLMC_PROFILE_BEGIN = 0, LLMC_PROFILE_WORKED = 1, LLMC_PROFILE_PASSED = 2 };
struct llmc_profile {
  // BEGIN: the step begins (site 0). WORKED: this worker has no more tiles of the loop. PASSED: all are through its barrier.
  void (*mark)(struct llmc_profile *profile, int64_t worker, int64_t site, int64_t moment);
  // Adds to a row of a table of counters: how often an expert was chosen. `counter` as the metadata numbers them.
  void (*count)(struct llmc_profile *profile, int64_t counter, int64_t row, int64_t amount);
  void *engine; // the engine's own data
};

// Arguments of one step. All arrays are read-only unless said otherwise and stay valid during the call.
struct llmc_step {
  int64_t tokens;                // T, 1 … max_tokens of the entry
  int64_t rows;                  // R, 0 … T: rows whose logits are wanted
  const int32_t *token_ids;      // [T]
  const int32_t *positions;      // [T] position in its sequence
  const int32_t *slots;          // [T] sequence slot
  const int32_t *lengths;        // [T] tokens of the sequence that this request brings it to (dynamic rope)
  const int32_t *row_tokens;     // [R] which token each wanted row belongs to, ascending
  float *logits;                 // [R, vocab], written
  float *hidden;                 // [R, hidden] the last norm's output, written
  const uint8_t *const *weights; // [weight_count] start of each packed weight, 64-byte aligned
  uint8_t *const *states;        // [state_count] memory of each state, 64-byte aligned
  const int64_t *state_slot_bytes;  // [state_count] distance between slots
  const int64_t *state_layer_bytes; // [state_count] distance between layers inside a slot
  int64_t capacity;              // positions a slot has room for, a multiple of 64
  uint8_t *arena;                // arena_bytes of the entry, 64-byte aligned
  uint8_t *scratch;              // scratch_bytes of the entry per worker, 64-byte aligned: worker w uses [w * scratch_bytes, …)
  struct llmc_team *team;
  struct llmc_profile *profile; // never null; only steps compiled with --profile call it
  // The best of each row instead of all of it, where the entry can (best_rows). A panel is 16 neighbouring tokens, [16 p, 16 p + 16).
  // best > 0: logits are not written, but the `best` panels of each row whose greatest logits are greatest, in order, of equals the first.
  // The `best` best tokens lie in them. A panel that holds NaN counts as the greatest.
  int64_t best;         // 0 … (vocab + 15) / 16
  int32_t *best_panels; // [R, best], written
  float *best_logits;   // [R, best, 16], written; -infinity beyond the vocabulary
  const int32_t *position_ids; // [T] what position embeddings take for a token's position; where nobody says, `positions`
  const int32_t *token_types;  // [T] segment of a token; where nobody says, 0
  const int32_t *source_lengths; // [T] of an encoder-decoder: tokens that the encoder has read into the token's slot
};

// Runs a step; every worker of the team calls it with its index. Afterwards (all workers returned) logits and hidden are written.
typedef void (*llmc_step_fn)(const struct llmc_step *step, int64_t worker);

struct llmc_entry {
  int64_t max_tokens; // this specialisation serves 1 … max_tokens tokens
  int64_t arena_bytes;
  int64_t scratch_bytes; // per worker
  llmc_step_fn run;
  int64_t best_rows; // rows that a step with `best` may want; 0: this entry knows nothing of `best`
};

// One level of instruction set; `features` names what the CPU must have, as /proc/cpuinfo spells it ("avx2 fma f16c"), space-separated.
// Listed best first; the last may need nothing.
struct llmc_isa {
  const char *name;     // "x86-64-v4", "x86-64-v3", "generic"
  const char *features;
  int64_t entry_count;
  const struct llmc_entry *entries; // ascending max_tokens
  int64_t encoder_count;            // of an encoder-decoder: specialisations of the encoder's step, which writes `hidden` alone
  const struct llmc_entry *encoders;
};

// Puts phases of a step onto a stream of a device, in order. The engine owns it.
struct llmc_launcher {
  void (*launch)(struct llmc_launcher *launcher, int64_t phase, int64_t layer);
  void *engine; // the engine's own data
};
// Launches all phases of a step; of the step's arguments it reads `best` alone, so steps of the same sign of `best` launch the same.
typedef void (*llmc_launches_fn)(const struct llmc_step *step, struct llmc_launcher *launcher);

// A specialisation of the step on a GPU: the same step as a kernel for all of it, and as one kernel for each of its parallel loops. Every
// pointer of struct llmc_step is one that the device can use; the struct itself lies in the device's memory. `team` points to 128 zero bytes.
struct llmc_gpu_entry {
  int64_t max_tokens, arena_bytes;
  int64_t scratch_bytes; // per block
  int64_t shared_bytes;  // of a block, asked for when it is launched
  const char *step;      // kernel (step): all of it; blocks wait for one another, so all must be resident (cooperative launch)
  int64_t phase_count;
  const char *const *phases; // kernels (step, layer: i64), any number of blocks
  llmc_launches_fn launches;
  int64_t best_rows;
};

// Code for GPUs of compute capability `compute` / 10 or higher (`cubin`: of this one), in blocks of `threads`.
struct llmc_gpu {
  const char *name; // "sm_90"
  int64_t compute;  // 90
  int64_t threads;
  const char *ptx;  // zero-terminated
  const uint8_t *cubin; // null if ptxas was not there
  int64_t cubin_bytes;
  int64_t entry_count;
  const struct llmc_gpu_entry *entries; // ascending max_tokens
};

struct llmc_weight {
  const char *name;  // symbol and layer: "blk.q[3]"
  int64_t offset;    // in the packed weight file (or the embedded block), a multiple of 64
  int64_t bytes;
};

struct llmc_state {
  const char *name;
  int64_t layers;
  int64_t bytes_per_position; // of one layer, one position; memory of such a layer is this times capacity. 0: does not grow
  int64_t fixed_bytes;        // of one layer, whatever the length: what the last token left. A multiple of 64. One of the two is 0
};

struct llmc_asset {
  const char *name; // "tokenizer" (blob of runtime/tokenizer), "chat_template" (JSON, of runtime/template), "generation_config" (JSON)
  const uint8_t *data;
  int64_t size;
};

// What an engine must know about the steps of a model.
enum llmc_traits {
  LLMC_TRAIT_LOOKS_AHEAD = 1, // tokens attend to later ones: a step must have the whole of each sequence
  LLMC_TRAIT_NO_LOGITS = 2,   // steps write `hidden` alone
};

struct llmc_artifact {
  uint32_t abi;
  uint32_t struct_size;
  const char *metadata; // JSON: family, sizes, formats, mode, sources, targets (docs/reference/Artifact.md)
  int64_t vocab, hidden, context; // context: positions the model was trained for
  int64_t isa_count;
  const struct llmc_isa *isas;
  int64_t weight_count;
  const struct llmc_weight *weights;
  int64_t weight_bytes;     // size of the packed weights
  uint8_t weight_id[16];    // stands in the weight file's header; binds the two
  const char *weight_file;  // file name beside the library; empty when embedded
  int64_t state_count;
  const struct llmc_state *states;
  int64_t asset_count;
  const struct llmc_asset *assets;
  int64_t gpu_count; // 0: none
  const struct llmc_gpu *gpus; // best first
  int64_t traits;              // of enum llmc_traits, added up
};

// The symbol that the compiler defines.
extern const struct llmc_artifact llmc_model;

// A packed weight file: this header (padded to 4096 bytes), then the packed weights; llmc_weight.offset counts from the
// end of the padded header. Embedded weights: the same bytes appended to the library at a 64 KiB boundary, followed by the footer.
#define LLMC_WEIGHTS_MAGIC "LLMCWGT1"
#define LLMC_WEIGHTS_HEADER_BYTES 4096
struct llmc_weights_header {
  char magic[8];
  uint8_t id[16];
  int64_t bytes;       // of the packed weights
  uint8_t blake3[32];  // of the packed weights; its first 16 bytes are the id. Checked by `llmc verify` only
};
#define LLMC_FOOTER_MAGIC "LLMCEND1"
struct llmc_footer { // the last bytes of a library with embedded weights
  int64_t offset;    // of the header above, from the start of the file
  int64_t bytes;     // header and weights together
  char magic[8];
};

#ifdef __cplusplus
}
#endif

#endif
