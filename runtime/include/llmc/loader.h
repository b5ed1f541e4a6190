// Opens a compiled model and fills a table with its functions: for programs that choose the model at run time.
//
//   struct llmc_api api;
//   char message[256];
//   if (llmc_api_open("./model.so", &api, message, sizeof message)) { fputs(message, stderr); exit(1); }
//   api.model_open(NULL, &model, NULL);
//
// Header only, C11 or C++ (GCC, Clang). Link with nothing but libdl where that is a library of its own. Several models
// may be open at once: each has its own functions.
#ifndef LLMC_LOADER_H
#define LLMC_LOADER_H

#include "llmc/llmc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

// Every function of llmc.h, without its prefix.
#define LLMC_FUNCTIONS(X)                                                                                              \
  X(abi_version)                                                                                                       \
  X(error_code)                                                                                                        \
  X(error_message)                                                                                                     \
  X(error_free)                                                                                                        \
  X(free)                                                                                                              \
  X(model_open)                                                                                                        \
  X(model_close)                                                                                                       \
  X(model_get_info)                                                                                                    \
  X(model_metadata)                                                                                                    \
  X(model_asset)                                                                                                       \
  X(weight_memory)                                                                                                     \
  X(memory)                                                                                                            \
  X(context_create)                                                                                                    \
  X(context_free)                                                                                                      \
  X(context_get_info)                                                                                                  \
  X(set_cancel)                                                                                                        \
  X(eval)                                                                                                              \
  X(encode)                                                                                                            \
  X(embed)                                                                                                             \
  X(length)                                                                                                            \
  X(tokens)                                                                                                            \
  X(pending)                                                                                                           \
  X(rollback)                                                                                                          \
  X(fork)                                                                                                              \
  X(clear)                                                                                                             \
  X(state_bytes)                                                                                                       \
  X(state_save)                                                                                                        \
  X(state_restore)                                                                                                     \
  X(state_save_file)                                                                                                   \
  X(state_restore_file)                                                                                                \
  X(profile_set)                                                                                                       \
  X(profile_read)                                                                                                      \
  X(tokenize)                                                                                                          \
  X(detokenize)                                                                                                        \
  X(tokenize_batch)                                                                                                    \
  X(piece)                                                                                                             \
  X(find_token)                                                                                                        \
  X(is_special)                                                                                                        \
  X(bos)                                                                                                               \
  X(eos)                                                                                                               \
  X(stop_tokens)                                                                                                       \
  X(decoder_create)                                                                                                    \
  X(decoder_push)                                                                                                      \
  X(decoder_flush)                                                                                                     \
  X(decoder_free)                                                                                                      \
  X(sampler_defaults)                                                                                                  \
  X(sampler_create)                                                                                                    \
  X(sampler_sample)                                                                                                    \
  X(sampler_accept)                                                                                                    \
  X(sampler_reset)                                                                                                     \
  X(sampler_free)                                                                                                      \
  X(apply_chat_template)                                                                                               \
  X(generate)

struct llmc_api {
  void *library; // of dlopen
#define LLMC_FIELD(name) __typeof__(&llmc_##name) name;
  LLMC_FUNCTIONS(LLMC_FIELD)
#undef LLMC_FIELD
};

static inline int llmc_api_symbol(struct llmc_api *api, void *field, const char *symbol) {
  void *address = dlsym(api->library, symbol);
  memcpy(field, &address, sizeof address); // ISO C has no conversion from void * to a function pointer
  return address != NULL;
}

// 0 on success; else 1, and a one-line message. `path` without a slash is searched as dlopen does: write "./model.so".
static inline int llmc_api_open(const char *path, struct llmc_api *api, char *message, size_t message_bytes) {
  memset(api, 0, sizeof *api);
  api->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!api->library) {
    const char *reason = dlerror();
    snprintf(message, message_bytes, "%s", reason ? reason : path);
    return 1;
  }
  const char *missing = NULL;
#define LLMC_LOAD(name)                                                                                                \
  if (!llmc_api_symbol(api, &api->name, "llmc_" #name) && !missing)                                                    \
    missing = "llmc_" #name;
  LLMC_FUNCTIONS(LLMC_LOAD)
#undef LLMC_LOAD
  if (missing)
    snprintf(message, message_bytes, "%s: not a compiled model (or an older one): %s is missing", path, missing);
  else if (api->abi_version() != LLMC_ABI_VERSION)
    snprintf(message, message_bytes, "%s: want C ABI %u, got %u: compile the model again", path,
             (unsigned)LLMC_ABI_VERSION, (unsigned)api->abi_version());
  else
    return 0;
  dlclose(api->library);
  memset(api, 0, sizeof *api);
  return 1;
}

// Everything that the library made must be freed before.
static inline void llmc_api_close(struct llmc_api *api) {
  if (api->library)
    dlclose(api->library);
  memset(api, 0, sizeof *api);
}

#endif
