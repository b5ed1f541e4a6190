// The C ABI of a compiled language model: a library (model.so) exports these functions and needs nothing else.
//
//   struct llmc_model_handle *model;
//   struct llmc_context *context;
//   if (llmc_model_open(NULL, &model, NULL) || llmc_context_create(model, NULL, &context, NULL)) return 1;
//   struct llmc_generate_options options = {.struct_size = sizeof options, .prompt = "Once", .on_text = print};
//   llmc_generate(context, &options, NULL, NULL);
//
// Three levels: low (tokens to logits; states), middle (tokenizer, sampler), high (llmc_generate). loader.h fills a
// table of function pointers from a library that is opened at run time.
//
// Conventions
// - Plain C11. No exception crosses a function. Strings are UTF-8; a length in bytes goes with text that may hold
// zeros.
// - Every struct begins with `struct_size`, which the caller sets to sizeof of its own definition; members that a later
//   version appends then read as 0. 0 (or NULL) is the default of every member unless said otherwise.
// - A function that can fail returns a code (enum llmc_code), and when `error` is not NULL stores there an object with
// a one-line
//   message, to be freed with llmc_error_free, or NULL on success. Outputs are untouched on failure unless said
//   otherwise.
// - Arrays that the caller passes are read or written during the call only. Pointers returned by `const` live as long
//   as the handle they came from. The *_free and *_close functions accept NULL.
// - Threads: a model is immutable, so its functions may be called from any thread at once. A context, sampler
//   or decoder is used by one thread at a time; different ones are independent. Exceptions are named.
// - Handles may be freed in any order: a context keeps its model alive.
//
// Shapes: vocab and hidden are of llmc_model_info; rows are row-major float32.
#ifndef LLMC_LLMC_H
#define LLMC_LLMC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(LLMC_BUILDING_CORE)
#define LLMC_API __attribute__((visibility("default")))
#else
#define LLMC_API
#endif

// Raised when a function changes or goes; additions keep it.
#define LLMC_ABI_VERSION 1
LLMC_API uint32_t llmc_abi_version(void);

// ---- Errors ---------------------------------------------------------------------------------------------------------

// Also the exit status of the tools.
enum llmc_code {
  LLMC_OK = 0,
  LLMC_INVALID_INPUT = 1, // the caller can mend it: a bad argument, file or prompt
  LLMC_INTERNAL = 2,      // our fault
  LLMC_UNSUPPORTED = 3,   // this model or machine does not have it; the message lists what is missing
  LLMC_CANCELLED = 4,     // llmc_set_cancel, or a callback asked to stop
};

struct llmc_error;
LLMC_API int32_t llmc_error_code(const struct llmc_error *error);
LLMC_API const char *llmc_error_message(const struct llmc_error *error);
LLMC_API void llmc_error_free(struct llmc_error *error);

// Frees memory that the library handed out as `char **`.
LLMC_API void llmc_free(void *memory);

// ---- Model ----------------------------------------------------------------------------------------------------------

// Whether the weights move into huge pages, which are read faster: after the first step a thread copies them there, a tenth of one
// CPU's time while steps run; the file's pages are then given back.
enum llmc_huge_pages {
  LLMC_HUGE_PAGES_AUTO = 0, // if they are 16 MiB or more, and fit free memory beside what the contexts may take
  LLMC_HUGE_PAGES_ON = 1,   // at any size; llmc_model_open fails if the system gives none or memory is short
  LLMC_HUGE_PAGES_OFF = 2,
};

struct llmc_open_options {
  size_t struct_size;
  // The packed weights. NULL: embedded in the library, else the file beside it that the library names.
  const char *weights_path;
  // Name of the instruction set level to use, one of those inside. NULL: environment LLMC_ISA, else the best that this
  // CPU has.
  const char *isa;
  int32_t huge_pages; // enum llmc_huge_pages
  // Where steps run. "cpu". "cuda": the first GPU that fits, "cuda:1": that one; with "/persistent" a step is one kernel whose blocks wait for
  // one another (the default where the GPU can), with "/graph" a graph of kernels. "auto": a GPU if the library holds code for one that is
  // there, else the CPU; a line on stderr says why. NULL: environment LLMC_DEVICE, else "auto"; with `isa`, the CPU.
  const char *device;
};

struct llmc_model_handle;

// Opens the model that this library is. The weights are mapped, not read: milliseconds, whatever their size.
// `options` may be NULL. Errors: INVALID_INPUT on weights that are absent, of another model, truncated or stripped off,
// on an unknown `isa`, where a GPU is named and none is there or its memory is too small; UNSUPPORTED when the CPU has no level of those inside,
// the GPU named is too old, on another LLMC_ARTIFACT_ABI, or where huge pages are ON and can't be had.
LLMC_API int32_t llmc_model_open(const struct llmc_open_options *options, struct llmc_model_handle **model,
                                 struct llmc_error **error);
LLMC_API void llmc_model_close(struct llmc_model_handle *model);

struct llmc_model_info {
  size_t struct_size;
  int64_t vocab;            // tokens, and floats in a row of logits
  int64_t hidden;           // floats in a row of hidden states
  int64_t context;          // positions the model was trained for
  int64_t weight_bytes;     // of the packed weights
  int64_t max_step_tokens;  // longer requests are evaluated in chunks of this
  const char *isa;          // the level in use ("x86-64-v3"; on a GPU "sm_90")
  const char *library_path; // the file of this library
  const char *weights_path; // the file the weights are mapped from
  int32_t has_tokenizer;    // 0: only token ids go in and out
  const char *device;       // where steps run: "cpu", "cuda:0/graph"
  int32_t has_chat_template; // 0: llmc_apply_chat_template needs one given
  int32_t looks_ahead;      // 1: an encoder, whose tokens attend to later ones too: it reads a sequence in one request and does not generate
  int32_t has_logits;       // 0: hidden states are all there is
  int64_t max_source_tokens; // of an encoder-decoder: what its encoder reads at most; else 0
};
LLMC_API int32_t llmc_model_get_info(const struct llmc_model_handle *model, struct llmc_model_info *info,
                                     struct llmc_error **error);
// What the compiler recorded: family, sizes, formats, mode, sources, targets (docs/reference/Artifact.md). JSON.
LLMC_API const char *llmc_model_metadata(const struct llmc_model_handle *model);
// An asset by name ("generation_config"); NULL and 0 bytes if the model has none of this name.
LLMC_API const void *llmc_model_asset(const struct llmc_model_handle *model, const char *name, int64_t *bytes);

struct llmc_weight_memory_info {
  size_t struct_size;
  int64_t weight_bytes;
  int64_t copied_bytes; // of them, read from anonymous memory by the steps that begin now; the rest from the mapped file
  int64_t huge_bytes;   // of that memory, what the system backs with huge pages
  int32_t settled;      // 1: no more will be copied
  const char *note;     // why not all is copied; empty if there is no reason
};

// Where the weights are. wait = 1: copies now, at full speed, what is still to be copied, and returns when that is done: before
// measuring, or before a server takes requests. Any thread.
LLMC_API int32_t llmc_weight_memory(const struct llmc_model_handle *model, int32_t wait, struct llmc_weight_memory_info *info,
                                    struct llmc_error **error);

// ---- Context: workers, states of the sequences, buffers -------------------------------------------------------------

struct llmc_context_options {
  size_t struct_size;
  int64_t context; // positions of each sequence; 0: what the model was trained for, halved until it fits half the free
                   // memory
  int64_t slots;   // sequences held at once; 0: 1
  int32_t threads; // workers, the calling thread among them; 0: the CPUs this process may use. Means nothing on a GPU
  // Copies that each slot keeps of states which hold only what the last token left (recurrences, convolution tails), to go
  // back to (llmc_rollback): at most 64. 0: 8, fewer if they took more than an eighth of the free memory. -1: none. Models
  // without such states keep none.
  int64_t checkpoints;
};

struct llmc_memory_info {
  size_t struct_size;
  int64_t context;          // positions per slot that these options lead to
  int64_t weight_bytes;     // mapped from a file: shared, and reclaimed by the system when it needs memory
  int64_t work_bytes;       // arena, scratch of the workers, output rows
  int64_t state_slot_bytes; // of one slot when it is full; committed as the sequence grows
  int64_t state_bytes;      // of all slots
  int64_t available_bytes;  // free now, to this process (system and cgroup)
  int64_t checkpoints;      // of each slot
  int64_t checkpoint_bytes; // of all slots, when all are taken
};

// What a context would take, without making it. `options` may be NULL. Errors: as llmc_context_create but for memory.
LLMC_API int32_t llmc_memory(const struct llmc_model_handle *model, const struct llmc_context_options *options,
                             struct llmc_memory_info *info, struct llmc_error **error);

struct llmc_context;

// Starts the workers and reserves all memory; evaluating allocates nothing. `options` may be NULL.
// Errors: INVALID_INPUT on numbers out of range, on a context beyond the model's position limit, and when the states do
// not fit free memory (before anything is allocated; the message names a context that fits).
LLMC_API int32_t llmc_context_create(struct llmc_model_handle *model, const struct llmc_context_options *options,
                                     struct llmc_context **context, struct llmc_error **error);
LLMC_API void llmc_context_free(struct llmc_context *context);

struct llmc_context_info {
  size_t struct_size;
  int64_t context;
  int64_t slots;
  int32_t threads;
  int64_t checkpoints; // of each slot
};
LLMC_API int32_t llmc_context_get_info(const struct llmc_context *context, struct llmc_context_info *info,
                                       struct llmc_error **error);

// Any thread, also a signal handler. on = 1: the call that runs in this context, and any later one, stops before its
// next step: llmc_eval returns CANCELLED, llmc_generate ends with LLMC_FINISH_CANCELLED. on = 0: calls run again.
LLMC_API void llmc_set_cancel(struct llmc_context *context, int32_t on);

// ---- Low level: tokens to logits ------------------------------------------------------------------------------------

enum llmc_want {
  LLMC_WANT_NONE = 0, // only the states move on
  LLMC_WANT_LAST = 1, // the last token of each slot in the request, in order of the tokens
  LLMC_WANT_ALL = 2,  // every token
  LLMC_WANT_LIST = 3, // those in `rows`
};

// Rows [first_row, first_row + rows) of the request in its own order; logits: [rows, vocab], hidden: [rows, hidden]
// (the last norm's output), valid during the call. Returns 0 to go on.
typedef int32_t (*llmc_rows_fn)(void *user, int64_t first_row, int64_t rows, const float *logits, const float *hidden);

struct llmc_eval_request {
  size_t struct_size;
  const int32_t *tokens; // [count]; each continues its slot: position = length of the slot, which grows by one
  int64_t count;         // 1 or more; long requests are split, with the same result
  const int32_t *slots;  // [count] slot of each token; NULL: all in `slot`
  int32_t slot;
  int32_t want;        // enum llmc_want
  const int64_t *rows; // [row_count] for WANT_LIST: indices into tokens, ascending
  int64_t row_count;
  float *logits;        // [rows, vocab], written; NULL: not kept
  float *hidden;        // [rows, hidden], written; NULL: not kept
  llmc_rows_fn on_rows; // called after each chunk that has rows; NULL: none
  void *user;
  // 1 … 128: of each row the `best` best tokens are wanted, greatest logit first, of equals the lower id. Without `logits` and `on_rows`, logits
  // are then computed no further than that takes. 0: none. Beyond the vocabulary: id -1 and -infinity.
  int64_t best;
  float *best_logits; // [rows, best], written; NULL: not kept
  int32_t *best_ids;  // [rows, best], written; NULL: not kept
  // For encoders. What position embeddings take for the position of each token ([count]; NULL: its place in its sequence), such as of a text
  // whose padding in front was left away; and the segment of each token ([count]; NULL: all 0).
  const int32_t *position_ids;
  const int32_t *token_types;
};

// Runs the model over tokens. Errors: INVALID_INPUT on a token outside the vocabulary, a slot that does not exist, or
// more tokens than the slot has room for, or, for a model that looks ahead (llmc_model_info), a slot that is not empty or more tokens than
// max_step_tokens, all found before anything is computed; INTERNAL when logits are NaN;
// CANCELLED. After an error every slot is as it was before.
LLMC_API int32_t llmc_eval(struct llmc_context *context, const struct llmc_eval_request *request,
                           struct llmc_error **error);

// Encoder-decoders (max_source_tokens > 0): lets the encoder read a source into `slot`, which must be empty; what llmc_eval then runs in that slot
// decodes it. Of the request count `tokens`, `count`, `slot`, `hidden` (of every token), `on_rows` (without logits) and `user`. llmc_generate does this
// with its prompt. Errors: INVALID_INPUT on a model without encoder, a slot that holds something, or a source that is too long;
// CANCELLED, also when on_rows stops it: the slot is then as it was before.
LLMC_API int32_t llmc_encode(struct llmc_context *context, const struct llmc_eval_request *request, struct llmc_error **error);

// Sequences. Slots are 0 … slots-1; lengths count tokens.
LLMC_API int64_t llmc_length(const struct llmc_context *context, int32_t slot); // -1: no such slot
// The token ids that a slot holds; writes at most `capacity` of them; returns the length.
LLMC_API int64_t llmc_tokens(const struct llmc_context *context, int32_t slot, int32_t *tokens, int64_t capacity);
// Forgets all but the first `length` tokens: what follows is as if there had never been more. States that hold only what the
// last token left go back to the nearest checkpoint; the tokens from there are evaluated again by the next evaluation of the
// slot, which llmc_pending counts beforehand. Errors: INVALID_INPUT if the slot is shorter.
LLMC_API int32_t llmc_rollback(struct llmc_context *context, int32_t slot, int64_t length, struct llmc_error **error);
// How many tokens of the slot its next evaluation runs again first; -1: no such slot.
LLMC_API int64_t llmc_pending(const struct llmc_context *context, int32_t slot);
// Makes slot `to` a copy of slot `from`; they share the checkpoints.
LLMC_API int32_t llmc_fork(struct llmc_context *context, int32_t from, int32_t to, struct llmc_error **error);
// Empties a slot and gives its memory back.
LLMC_API int32_t llmc_clear(struct llmc_context *context, int32_t slot, struct llmc_error **error);

// Saving a sequence: tokens, states and checkpoints, bound to the weights. The bytes are untrusted when they come back: all is
// checked.
LLMC_API int64_t llmc_state_bytes(const struct llmc_context *context, int32_t slot); // -1: no such slot
LLMC_API int32_t llmc_state_save(struct llmc_context *context, int32_t slot, void *buffer, int64_t bytes,
                                 struct llmc_error **error);
// Errors: INVALID_INPUT if the bytes are damaged, of another model, or longer than the context; the slot is then empty.
LLMC_API int32_t llmc_state_restore(struct llmc_context *context, int32_t slot, const void *buffer, int64_t bytes,
                                    struct llmc_error **error);
LLMC_API int32_t llmc_state_save_file(struct llmc_context *context, int32_t slot, const char *path,
                                      struct llmc_error **error);
LLMC_API int32_t llmc_state_restore_file(struct llmc_context *context, int32_t slot, const char *path,
                                         struct llmc_error **error);

// ---- High level: texts as vectors -----------------------------------------------------------------------------------

struct llmc_embed_options {
  size_t struct_size;
  const char *pooling; // how hidden states of tokens become one vector: "mean", "cls" (the first), "max", "last"; NULL: as the model says
  int32_t normalize;   // to length 1. 1: yes, 0: no, -1: as the model says
  int32_t slot;        // that is used, and empty afterwards
  int32_t truncate;    // 1: a text that is too long loses its end; 0: it is an error
};
// Writes the vector of a text, `hidden` floats. `options` NULL: as the model says, in slot 0. Errors: UNSUPPORTED without a tokenizer; INVALID_INPUT on
// an empty text, one that is too long, or bad options; CANCELLED.
LLMC_API int32_t llmc_embed(struct llmc_context *context, const char *text, int64_t text_bytes, const struct llmc_embed_options *options, float *vector,
                            struct llmc_error **error);

// ---- Low level: where the time goes ---------------------------------------------------------------------------------

// on = 1: from now on (and from nothing) the loops of each step are timed. on = 0: no longer. Errors: UNSUPPORTED when the
// library was compiled without --profile.
LLMC_API int32_t llmc_profile_set(struct llmc_context *context, int32_t on, struct llmc_error **error);
// What was timed since then, as JSON (zero-terminated; free with llmc_free): {"versions": [{"max_tokens", "steps",
// "tokens", "ns", "sites": [{"name", "runs", "ns", "busy_ns", "bytes"}], "counters": [{"name", "layer_rows", "counts"}]}]},
// of the versions of the step that ran. A site is a loop: its kernels, and the weights and states they work on; `ns` as the first
// worker saw it, `busy_ns` the mean worker's without its waiting, `bytes` what the cost model says it moved. The counter "experts": how
// often each expert was chosen, `layer_rows` of them for each layer, layer after layer (zeros where a layer has none). On a GPU the phases
// are launched one by one while a profile is on, nothing is counted, and "limits" says what the card can do: {"name",
// "read_bytes_per_second", "operations_per_second": {"f32", "bf16", "int8"}}.
LLMC_API int32_t llmc_profile_read(const struct llmc_context *context, char **json, struct llmc_error **error);

// ---- Middle level: tokenizer ----------------------------------------------------------------------------------------
// All return UNSUPPORTED when the model has no tokenizer (llmc_model_info.has_tokenizer).

enum llmc_text_flags {
  LLMC_ADD_SPECIAL = 1,   // encode: add BOS/EOS as the model wants it
  LLMC_PARSE_SPECIAL = 2, // encode: the text of special tokens becomes their ids
  LLMC_KEEP_SPECIAL = 4,  // decode: special tokens appear as their text
};

// Stores the number of ids in `count` and writes the first `capacity` of them: call with capacity 0 to ask for the
// room.
LLMC_API int32_t llmc_tokenize(const struct llmc_model_handle *model, const char *text, int64_t text_bytes,
                               uint32_t flags, int32_t *tokens, int64_t capacity, int64_t *count,
                               struct llmc_error **error);
// Likewise for text; no zero is appended.
LLMC_API int32_t llmc_detokenize(const struct llmc_model_handle *model, const int32_t *tokens, int64_t count,
                                 uint32_t flags, char *text, int64_t capacity, int64_t *text_bytes,
                                 struct llmc_error **error);
// A JSON list of {"text": …, "special": …} in, a JSON list of lists of ids out (zero-terminated; free with llmc_free).
LLMC_API int32_t llmc_tokenize_batch(const struct llmc_model_handle *model, const char *json, int64_t json_bytes,
                                     char **result, struct llmc_error **error);
// A token as the vocabulary stores it (not zero-terminated); NULL and 0 bytes if there is none.
LLMC_API const char *llmc_piece(const struct llmc_model_handle *model, int32_t token, int64_t *bytes);
LLMC_API int32_t llmc_find_token(const struct llmc_model_handle *model, const char *piece, int64_t bytes); // -1: none
LLMC_API int32_t llmc_is_special(const struct llmc_model_handle *model, int32_t token); // 1, or 0 also if out of range
LLMC_API int32_t llmc_bos(const struct llmc_model_handle *model);                       // -1: none
LLMC_API int32_t llmc_eos(const struct llmc_model_handle *model);                       // -1: none
// Tokens that end a generation; writes at most `capacity`, returns how many there are.
LLMC_API int64_t llmc_stop_tokens(const struct llmc_model_handle *model, int32_t *tokens, int64_t capacity);

// Decodes token by token and hands out whole UTF-8 characters only.
struct llmc_decoder;
LLMC_API int32_t llmc_decoder_create(struct llmc_model_handle *model, struct llmc_decoder **decoder,
                                     struct llmc_error **error);
// `text` is valid until the next call on this decoder, and zero-terminated.
LLMC_API int32_t llmc_decoder_push(struct llmc_decoder *decoder, int32_t token, const char **text, int64_t *bytes,
                                   struct llmc_error **error);
// What is left of an incomplete character.
LLMC_API int32_t llmc_decoder_flush(struct llmc_decoder *decoder, const char **text, int64_t *bytes,
                                    struct llmc_error **error);
LLMC_API void llmc_decoder_free(struct llmc_decoder *decoder);

// ---- Middle level: sampler ------------------------------------------------------------------------------------------

// When beam search has found enough, once as many sequences have ended as there are beams.
enum llmc_early_stopping {
  LLMC_EARLY_HEURISTIC = 0, // when the best live sequence, as it is, scores below all of them
  LLMC_EARLY_ALWAYS = 1,    // at once
  LLMC_EARLY_NEVER = 2,     // when no live sequence could come to score better, at whatever length
};

struct llmc_logit_bias {
  int32_t token;
  float bias; // added to the logit; -infinity: never
};

// Logit bias and the block of n-grams, then penalties, DRY, top-n-sigma, top-k, typical, top-p, min-p, XTC and temperature, in this order
// or another (`samplers`), as llama.cpp defines them; docs/howto/ChooseTokens.md says what each does. 0 is a value here: start from
// llmc_sampler_defaults. Of the members after `seed`, 0 or NULL switches off what they belong to.
struct llmc_sampler_options {
  size_t struct_size;
  float temperature;     // 0: greedy, the first of equal maxima
  int32_t top_k;         // 0: off
  float top_p;           // 1: off
  float min_p;           // 0: off
  float repeat_penalty;  // divides positive logits of recent tokens, multiplies negative ones; 1: off
  int32_t repeat_last_n; // tokens the penalties look back on; -1: all
  uint64_t seed;
  // llmc_generate only: beam search with so many live sequences instead of drawing, 1 … 256; 0: off. A sequence scores the sum of its
  // tokens' log-probabilities over (tokens ^ length_penalty); scores, stopping and order are those of transformers' generate. Of the others
  // repeat_penalty and no_repeat_ngram act, on log-probabilities and on the whole sequence.
  int32_t beams;
  float length_penalty;   // above 0 prefers long sequences
  int32_t early_stopping; // enum llmc_early_stopping

  float presence_penalty;  // subtracted from the logit of each recent token
  float frequency_penalty; // subtracted as often as it occurs
  int32_t no_repeat_ngram; // no n tokens twice, prompt included
  const struct llmc_logit_bias *logit_bias; // [logit_bias_count]
  int64_t logit_bias_count;
  float typical_p;   // tokens whose surprise is nearest to the mean, until they make up P; 1: off
  float top_n_sigma; // logits within so many standard deviations of the greatest
  // DRY subtracts dry_multiplier * dry_base^(n - dry_allowed_length) from the logit of a token that would continue a repetition of n tokens.
  float dry_multiplier;
  float dry_base;              // 1 or more; 0: 1.75
  int32_t dry_allowed_length;  // tokens that may be repeated
  int32_t dry_penalty_last_n;  // tokens it looks back on; -1: all; 0: none, so it is off
  const char *const *dry_sequence_breakers; // [dry_breaker_count] texts no repetition reaches across; NULL: "\n", ":", "\"", "*"
  int64_t dry_breaker_count;
  float xtc_probability; // of removing, of the tokens that reach the threshold, all but the least likely
  float xtc_threshold;   // a probability; above 0.5: off
  float dynatemp_range;    // temperature -+ this, by (entropy / greatest entropy) ^ exponent
  float dynatemp_exponent;
  const char *temperature_schedule; // "0:1.2,64:0.7": temperature by tokens drawn so far, linear between; instead of `temperature`
  // 1, 2: Mirostat of that version holds the mean surprise at mirostat_tau bits; of the rest then only bias, n-grams, penalties, DRY and
  // temperature are used.
  int32_t mirostat;
  float mirostat_tau;
  float mirostat_eta; // share of the error that is corrected after each token
  // llmc_generate only: up to so many tokens (at most 64) are guessed from what followed the last few tokens where they occurred before, and
  // checked in one step: the text is that of no guesses wherever steps of any size compute the same (--exact), faster where text repeats.
  int32_t lookup_tokens;
  // "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature" (NULL), or another order; what is not named is not used.
  const char *samplers;
};
// The model's own choice (generation_config), else 0.8, 40, 0.95, 0.05, 1, 64; a fresh random seed. What is off has the numbers that it is
// mostly used with: DRY 1.75, 2, -1; XTC's threshold 0.1; dynatemp's exponent 1; Mirostat 5 and 0.1.
LLMC_API int32_t llmc_sampler_defaults(const struct llmc_model_handle *model, struct llmc_sampler_options *options,
                                       struct llmc_error **error);

struct llmc_sampler;
// `options` NULL: the defaults. Errors: INVALID_INPUT names the option and its range.
LLMC_API int32_t llmc_sampler_create(struct llmc_model_handle *model, const struct llmc_sampler_options *options,
                                     struct llmc_sampler **sampler, struct llmc_error **error);
// Draws from logits: [vocab], left unchanged. Errors: INVALID_INPUT on NaN. Tell of the token with llmc_sampler_accept.
LLMC_API int32_t llmc_sampler_sample(struct llmc_sampler *sampler, const float *logits, int64_t vocab, int32_t *token,
                                     struct llmc_error **error);
LLMC_API int32_t llmc_sampler_accept(struct llmc_sampler *sampler, int32_t token, struct llmc_error **error);
LLMC_API void llmc_sampler_reset(struct llmc_sampler *sampler); // forgets the tokens, and starts the seed anew
LLMC_API void llmc_sampler_free(struct llmc_sampler *sampler);

// ---- High level: chat -----------------------------------------------------------------------------------------------

struct llmc_chat_options {
  size_t struct_size;
  // JSON: a list of messages [{"role": "user", "content": "…"}, …], or an object with "messages" and, if wanted, "tools",
  // "documents", "add_generation_prompt" and whatever else the template reads ("enable_thinking": false).
  const char *request;
  int64_t request_bytes;         // 0: up to the terminating zero
  const char *chat_template;     // a Jinja template instead of the model's own; NULL: the model's
  int64_t chat_template_bytes;   // 0: up to the terminating zero
  int32_t no_generation_prompt;  // 1: the text ends with the last message, not with the beginning of an answer
};

// The conversation as one text, by the model's chat template as Hugging Face transformers renders it (zero-terminated, `bytes` without the
// zero; free with llmc_free). Its special tokens are text: give it to llmc_tokenize with LLMC_PARSE_SPECIAL alone, or to
// llmc_generate with LLMC_NO_SPECIAL | LLMC_PROMPT_SPECIAL. In the slot of the turns before, only what is new is evaluated.
// Templates come from the model's files and are not trusted: their steps, memory and output are bounded. Any thread.
// Errors: INVALID_INPUT if there is no template, the request is malformed, or the template is or refuses the conversation, with line
// and column; UNSUPPORTED if it uses what the engine has not.
LLMC_API int32_t llmc_apply_chat_template(const struct llmc_model_handle *model, const struct llmc_chat_options *options, char **text,
                                          int64_t *bytes, struct llmc_error **error);

// ---- High level: generate -------------------------------------------------------------------------------------------

enum llmc_generate_flags {
  LLMC_NO_SPECIAL = 1,       // add no BOS/EOS to the prompt
  LLMC_PROMPT_SPECIAL = 2,   // the text of special tokens in the prompt becomes their ids
  LLMC_IGNORE_EOS = 4,       // stop tokens are tokens like others
  LLMC_SHOW_SPECIAL = 8,     // special tokens appear in the text
  LLMC_NO_PREFIX_REUSE = 16, // evaluate the whole prompt though the slot begins with a part of it
  LLMC_VOTE = 64,            // of `samples`, on_token and on_text hear the first that has the most frequent answer
  LLMC_NO_LOGITS = 32,       // on_token gets NULL and 0 for logits: greedy and top-k decoding then compute only the best
};

enum llmc_finish {
  LLMC_FINISH_LENGTH = 1,    // max_tokens were generated
  LLMC_FINISH_EOS = 2,       // a stop token (it is the last one told to on_token; it has no text)
  LLMC_FINISH_STOP = 3,      // a stop string (left out of the text)
  LLMC_FINISH_CONTEXT = 4,   // the context is full
  LLMC_FINISH_CALLBACK = 5,  // a callback returned non-zero
  LLMC_FINISH_CANCELLED = 6, // llmc_set_cancel
};

// One of several continuations of a prompt.
struct llmc_sequence {
  size_t struct_size;
  int64_t index;         // 0, 1, …
  const int32_t *tokens; // [token_count], a final stop token included; without the prompt. Beams of an encoder-decoder begin with the decoder's first token
  int64_t token_count;
  double score; // of beam search; else 0
  // Of drawn samples; else NULL and 0.
  const char *text; // [text_bytes], zero-terminated
  int64_t text_bytes;
  int32_t finish;     // enum llmc_finish
  const char *answer; // [answer_bytes], zero-terminated: what LLMC_VOTE found in the text; empty: none
  int64_t answer_bytes;
  int64_t votes; // samples with this answer
};

// A smaller model of the same vocabulary that guesses tokens, which the model then checks in one step: a context of its library, and that
// library's functions. The slot's tokens become those of the text.
struct llmc_draft {
  size_t struct_size;
  struct llmc_context *context;
  int32_t slot;
  int64_t vocab;         // of its llmc_model_info
  int64_t room;          // of its llmc_context_info.context
  int64_t max_tokens;    // guessed at a time, at most 64; 0: 8
  float min_probability; // it stops guessing where its likeliest token is less probable; 0: never
  int32_t (*eval)(struct llmc_context *context, const struct llmc_eval_request *request, struct llmc_error **error); // llmc_eval
  int32_t (*rollback)(struct llmc_context *context, int32_t slot, int64_t length, struct llmc_error **error);
  int64_t (*tokens)(const struct llmc_context *context, int32_t slot, int32_t *tokens, int64_t capacity);
  const char *(*error_message)(const struct llmc_error *error);
  void (*error_free)(struct llmc_error *error);
};

struct llmc_generate_options {
  size_t struct_size;
  const char *prompt;    // text, or NULL when `tokens` is given
  int64_t prompt_bytes;  // 0: up to the terminating zero
  const int32_t *tokens; // [token_count] ids instead of text; nothing is added to them
  int64_t token_count;
  int32_t slot;
  uint32_t flags;                             // enum llmc_generate_flags
  int64_t max_tokens;                         // 0: until the model stops or the context is full
  const struct llmc_sampler_options *sampler; // NULL: llmc_sampler_defaults
  const char *const *stop;                    // [stop_count] strings that end the text; checked across tokens
  int64_t stop_count;
  // Called with whole UTF-8 characters, zero-terminated; text that may begin a stop string is held back until it is
  // known. Returns 0 to go on.
  int32_t (*on_text)(void *user, const char *text, int64_t bytes);
  // Called for each token drawn, before its text, with the logits that chose it: [vocab] (LLMC_NO_LOGITS: none). Returns 0 to go on.
  int32_t (*on_token)(void *user, int32_t token, const float *logits, int64_t vocab);
  // Called after each chunk of the prompt; once, if nothing of it is evaluated. Returns 0 to go on.
  int32_t (*on_prompt)(void *user, int64_t done, int64_t total);
  void *user;
  // Beam search and samples: called at the end for each sequence. Of beam search the best comes first, which then on_token (without logits) and on_text hear; it
  // uses the slots slot … slot + beams - 1: afterwards the first holds the prompt, the others are empty. Returns 0 to go on.
  int32_t (*on_sequence)(void *user, const struct llmc_sequence *sequence);
  const struct llmc_draft *draft; // NULL: none
  // Continuations drawn together, one batch a step, with the seeds seed, seed + 1, …, in the slots slot … slot + samples - 1, which are left as by
  // beam search. on_sequence hears all in this order, then on_token (without logits) and on_text the first. 0 or 1: one, as it is drawn.
  int64_t samples;
  // LLMC_VOTE: a regular expression whose last match in a text is its answer. NULL: its last number (without commas), else its last line.
  const char *answer;
};

struct llmc_generate_stats {
  size_t struct_size;
  int64_t prompt_tokens;
  int64_t cached_tokens;    // of them, found in the slot and not evaluated again; all of them if their logits were kept too
  int64_t generated_tokens; // drawn, a final stop token included
  int32_t finish;           // enum llmc_finish
  double prompt_ms;         // evaluating the prompt
  double first_token_ms;    // from the call to the first token drawn
  double decode_ms;         // from the first token to the last
  double prompt_tokens_per_second;
  double tokens_per_second; // of the tokens after the first; 0 if there are none
  uint64_t seed;            // draws the same tokens again
  int64_t guessed_tokens;   // by lookup or a draft model
  int64_t accepted_tokens;  // of them
};

// Continues a prompt. The slot keeps prompt and text, so that a longer prompt which begins the same is cheap.
// `stats` may be NULL. Errors: INVALID_INPUT on an empty prompt, on one that fills the context (both numbers are
// named), on bad options; the rest as llmc_eval.
LLMC_API int32_t llmc_generate(struct llmc_context *context, const struct llmc_generate_options *options,
                               struct llmc_generate_stats *stats, struct llmc_error **error);

#ifdef __cplusplus
}
#endif

#endif
