// Streams text from a compiled model: ./story ./model.so "Once upon a time"
#include <llmc/loader.h>
#include <stdlib.h>

static int32_t print(void *user, const char *text, int64_t bytes) {
  (void)user, (void)bytes;
  return fputs(text, stdout) < 0 || fflush(stdout);
}

// `error`: where the call put its error; arguments have no order, so its value may not be read before the call.
static void check(const struct llmc_api *api, int32_t code, struct llmc_error *const *error) {
  if (code != LLMC_OK) {
    fprintf(stderr, "%s\n", api->error_message(*error));
    exit(code);
  }
}

int main(int argc, char **argv) {
  struct llmc_api api;
  struct llmc_model_handle *model;
  struct llmc_context *context;
  struct llmc_error *error;
  char message[512];
  if (argc != 3 || llmc_api_open(argv[1], &api, message, sizeof message))
    return fprintf(stderr, "%s\n", argc == 3 ? message : "usage: story MODEL.so PROMPT"), 1;
  check(&api, api.model_open(NULL, &model, &error), &error);
  check(&api, api.context_create(model, NULL, &context, &error), &error);
  struct llmc_generate_options options = {
      .struct_size = sizeof options, .prompt = argv[2], .max_tokens = 64, .on_text = print};
  check(&api, api.generate(context, &options, NULL, &error), &error);
  api.context_free(context);
  api.model_close(model);
  return puts("") < 0;
}
