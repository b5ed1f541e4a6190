// Answers a question from a folder of texts: an encoder finds the passages that are nearest in meaning, a generator reads them and answers.
//
//   ./retrieval ENCODER.so GENERATOR.so FOLDER "question"
//
// A passage is a paragraph of a .txt file. Cosines are dot products, since the vectors have length 1.
#include <dirent.h>
#include <llmc/loader.h>
#include <stdlib.h>

enum { PASSAGES = 2, MAX_PASSAGES = 4096, MAX_PATH = 4096 };

struct model {
  struct llmc_api api;
  struct llmc_model_handle *handle;
  struct llmc_context *context;
};

struct passage {
  char file[256];
  char *text;
  float score;
};

static void fail(const char *message) {
  fprintf(stderr, "retrieval: %s\n", message);
  exit(1);
}

// `error`: where the call put its error; arguments have no order, so its value may not be read before the call.
static void check(const struct model *model, int32_t code, struct llmc_error *const *error) {
  if (code != LLMC_OK)
    fail(model->api.error_message(*error));
}

static void open_model(const char *path, struct model *model) {
  char message[512];
  struct llmc_error *error;
  if (llmc_api_open(path, &model->api, message, sizeof message))
    fail(message);
  check(model, model->api.model_open(NULL, &model->handle, &error), &error);
  check(model, model->api.context_create(model->handle, NULL, &model->context, &error), &error);
}

static int64_t hidden_size(const struct model *model) {
  struct llmc_model_info info = {.struct_size = sizeof info};
  struct llmc_error *error;
  check(model, model->api.model_get_info(model->handle, &info, &error), &error);
  return info.hidden;
}

static void embed(const struct model *encoder, const char *text, float *vector) {
  struct llmc_embed_options options = {.struct_size = sizeof options, .normalize = 1, .truncate = 1};
  struct llmc_error *error;
  check(encoder, encoder->api.embed(encoder->context, text, (int64_t)strlen(text), &options, vector, &error), &error);
}

static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file)
    fail(path);
  fseek(file, 0, SEEK_END);
  long bytes = ftell(file);
  rewind(file);
  char *text = calloc((size_t)bytes + 1, 1);
  if (!text || fread(text, 1, (size_t)bytes, file) != (size_t)bytes)
    fail(path);
  fclose(file);
  return text;
}

// Cuts a file's text at blank lines; returns how many passages there are then.
static int add_passages(const char *name, char *text, struct passage *passages, int count) {
  while (text && count < MAX_PASSAGES) {
    char *next = strstr(text, "\n\n");
    if (next)
      *next = 0, next += 2;
    text += strspn(text, "\n\r ");
    if (*text) {
      snprintf(passages[count].file, sizeof passages[count].file, "%s", name);
      passages[count++].text = text;
    }
    text = next;
  }
  return count;
}

static int read_folder(const char *folder, struct passage *passages) {
  DIR *directory = opendir(folder);
  if (!directory)
    fail(folder);
  int count = 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    const char *ending = strrchr(entry->d_name, '.');
    char path[MAX_PATH];
    if (!ending || strcmp(ending, ".txt") != 0)
      continue;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    count = add_passages(entry->d_name, read_file(path), passages, count);
  }
  closedir(directory);
  return count;
}

static int by_score(const void *a, const void *b) {
  float x = ((const struct passage *)a)->score, y = ((const struct passage *)b)->score;
  return (x < y) - (x > y);
}

static void rank(const struct model *encoder, const char *question, struct passage *passages, int count) {
  int64_t size = hidden_size(encoder);
  float *wanted = malloc(2 * (size_t)size * sizeof *wanted), *vector = wanted + size;
  if (!wanted)
    fail("out of memory");
  embed(encoder, question, wanted);
  for (int i = 0; i < count; ++i) {
    embed(encoder, passages[i].text, vector);
    passages[i].score = 0;
    for (int64_t c = 0; c < size; ++c)
      passages[i].score += wanted[c] * vector[c];
  }
  free(wanted);
  qsort(passages, (size_t)count, sizeof *passages, by_score);
}

static int32_t print(void *user, const char *text, int64_t bytes) {
  (void)user, (void)bytes;
  return fputs(text, stdout) < 0 || fflush(stdout);
}

static void answer(const struct model *generator, const char *question, const struct passage *passages, int count) {
  char prompt[16384];
  int used = snprintf(prompt, sizeof prompt, "Passages:\n");
  for (int i = 0; i < count && i < PASSAGES && used < (int)sizeof prompt / 2; ++i)
    used += snprintf(prompt + used, sizeof prompt - (size_t)used, "%.2000s\n", passages[i].text);
  snprintf(prompt + used, sizeof prompt - (size_t)used, "\nQuestion: %.2000s\nAnswer:", question);
  struct llmc_sampler_options greedy = {.struct_size = sizeof greedy};
  struct llmc_error *error;
  check(generator, generator->api.sampler_defaults(generator->handle, &greedy, &error), &error);
  greedy.temperature = 0;
  const char *stop[] = {"\n"};
  struct llmc_generate_options options = {
      .struct_size = sizeof options, .prompt = prompt, .max_tokens = 48, .sampler = &greedy, .stop = stop, .stop_count = 1, .on_text = print};
  check(generator, generator->api.generate(generator->context, &options, NULL, &error), &error);
  puts("");
}

static void close_model(struct model *model) {
  model->api.context_free(model->context);
  model->api.model_close(model->handle);
}

int main(int argc, char **argv) {
  if (argc != 5)
    fail("usage: retrieval ENCODER.so GENERATOR.so FOLDER QUESTION");
  struct model encoder, generator;
  struct passage *passages = calloc(MAX_PASSAGES, sizeof *passages);
  if (!passages)
    fail("out of memory");
  int count = read_folder(argv[3], passages);
  if (count == 0)
    fail("the folder has no .txt file with text");
  open_model(argv[1], &encoder);
  rank(&encoder, argv[4], passages, count);
  for (int i = 0; i < count && i < PASSAGES; ++i)
    fprintf(stderr, "%.3f  %s: %.60s...\n", (double)passages[i].score, passages[i].file, passages[i].text);
  open_model(argv[2], &generator);
  answer(&generator, argv[4], passages, count);
  close_model(&encoder);
  close_model(&generator);
  return 0;
}
