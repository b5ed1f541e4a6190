// llmc.h: eval, sequences, generate.
#include "runtime/abi/Handles.h"
#include "runtime/engine/Embed.h"
#include "runtime/engine/Generate.h"
#include "runtime/support/MappedFile.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

using namespace llmc;
using namespace llmc::abi;

namespace {

bool hasSlot(const llmc_context *context, int32_t slot) { return context && context->context->checkSlot(slot); }

template <class Byte> Expected<std::span<Byte>> bytesOf(Byte *buffer, int64_t bytes) {
  if (bytes < 0 || (bytes > 0 && !buffer))
    return invalidInput("buffer: want " + std::to_string(bytes) + " bytes of memory, got none");
  return std::span<Byte>(buffer, size_t(bytes));
}

// Written beside its place and renamed, so that no reader sees half a file.
Expected<void> writeFile(const std::string &path, std::span<const uint8_t> bytes) {
  std::string partial = path + ".partial";
  std::FILE *file = std::fopen(partial.c_str(), "wbe");
  bool written = file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  if (file)
    written = std::fclose(file) == 0 && written;
  if (written && std::rename(partial.c_str(), path.c_str()) == 0)
    return {};
  auto failure =
      invalidInput(path + ": can't write " + std::to_string(bytes.size()) + " bytes: " + std::strerror(errno));
  std::remove(partial.c_str());
  return failure;
}

template <typename Run> int32_t runRequest(llmc_context *context, const llmc_eval_request *given, llmc_error **error, Run run) {
  EvalEnd end = EvalEnd::Done;
  int32_t code = guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    LLMC_CHECK(notNull(given, "llmc_eval_request"));
    LLMC_TRY(request, readStruct(given, "llmc_eval_request"));
    LLMC_TRY(reached, run(*context->context, request));
    end = reached;
    return {};
  });
  if (code != LLMC_OK || end == EvalEnd::Done)
    return code;
  return report(error, LLMC_CANCELLED, end == EvalEnd::Cancelled ? "cancelled" : "stopped by a callback");
}

} // namespace

extern "C" {

int32_t llmc_eval(llmc_context *context, const llmc_eval_request *given, llmc_error **error) {
  return runRequest(context, given, error, [](Context &own, const llmc_eval_request &request) { return own.eval(request); });
}

int32_t llmc_encode(llmc_context *context, const llmc_eval_request *given, llmc_error **error) {
  return runRequest(context, given, error, [](Context &own, const llmc_eval_request &request) { return own.encode(request); });
}

int32_t llmc_embed(llmc_context *handle, const char *text, int64_t bytes, const llmc_embed_options *given, float *vector, llmc_error **error) {
  EvalEnd end = EvalEnd::Done;
  int32_t code = guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(handle, "context"));
    LLMC_CHECK(notNull(vector, "vector"));
    llmc_embed_options options{.struct_size = sizeof(llmc_embed_options), .pooling = nullptr, .normalize = -1, .slot = 0, .truncate = 0};
    if (given) {
      LLMC_TRY(known, readStruct(given, "llmc_embed_options"));
      options = known;
    }
    LLMC_TRY(reached, embedText(*handle->context, {text ? text : "", size_t(std::max<int64_t>(bytes, 0))}, options, vector));
    end = reached;
    return {};
  });
  return code != LLMC_OK || end == EvalEnd::Done ? code : report(error, LLMC_CANCELLED, "cancelled");
}

int64_t llmc_length(const llmc_context *context, int32_t slot) {
  return hasSlot(context, slot) ? context->context->length(slot) : -1;
}

int64_t llmc_tokens(const llmc_context *context, int32_t slot, int32_t *tokens, int64_t capacity) {
  if (!hasSlot(context, slot))
    return -1;
  auto held = context->context->tokens(slot);
  std::copy_n(held.begin(), std::clamp<int64_t>(capacity, 0, int64_t(held.size())), tokens);
  return int64_t(held.size());
}

int64_t llmc_pending(const llmc_context *context, int32_t slot) {
  return hasSlot(context, slot) ? context->context->pending(slot) : -1;
}

int32_t llmc_rollback(llmc_context *context, int32_t slot, int64_t length, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    return context->context->rollback(slot, length);
  });
}

int32_t llmc_fork(llmc_context *context, int32_t from, int32_t to, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    return context->context->fork(from, to);
  });
}

int32_t llmc_clear(llmc_context *context, int32_t slot, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    return context->context->clear(slot);
  });
}

int64_t llmc_state_bytes(const llmc_context *context, int32_t slot) {
  return hasSlot(context, slot) ? context->context->saveBytes(slot) : -1;
}

int32_t llmc_state_save(llmc_context *context, int32_t slot, void *buffer, int64_t bytes, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    LLMC_TRY(room, bytesOf(static_cast<uint8_t *>(buffer), bytes));
    return context->context->save(slot, room);
  });
}

int32_t llmc_state_restore(llmc_context *context, int32_t slot, const void *buffer, int64_t bytes, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    LLMC_TRY(saved, bytesOf(static_cast<const uint8_t *>(buffer), bytes));
    return context->context->restore(slot, saved);
  });
}

int32_t llmc_state_save_file(llmc_context *context, int32_t slot, const char *path, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    LLMC_CHECK(notNull(path, "path"));
    LLMC_CHECK(context->context->checkSlot(slot));
    std::vector<uint8_t> bytes(size_t(context->context->saveBytes(slot)));
    LLMC_CHECK(context->context->save(slot, bytes));
    return writeFile(path, bytes);
  });
}

int32_t llmc_state_restore_file(llmc_context *context, int32_t slot, const char *path, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    LLMC_CHECK(notNull(path, "path"));
    LLMC_TRY(file, MappedFile::open(path));
    auto bytes = file.bytes();
    auto restored = context->context->restore(slot, {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()});
    if (!restored)
      return std::unexpected(Error{restored.error().code, std::string(path) + ": " + restored.error().message});
    return {};
  });
}

int32_t llmc_profile_set(llmc_context *context, int32_t on, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    if (on)
      return context->context->beginProfile();
    context->context->endProfile();
    return {};
  });
}

int32_t llmc_profile_read(const llmc_context *context, char **json, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    LLMC_CHECK(notNull(json, "json"));
    LLMC_TRY(text, context->context->profileJson());
    *json = ::strdup(text.c_str());
    return *json ? Expected<void>() : std::unexpected(Error{ErrorCode::InvalidInput, "out of memory"});
  });
}

int32_t llmc_generate(llmc_context *context, const llmc_generate_options *given, llmc_generate_stats *stats,
                      llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(context, "context"));
    LLMC_CHECK(notNull(given, "llmc_generate_options"));
    LLMC_TRY(options, readStruct(given, "llmc_generate_options"));
    llmc_sampler_options sampling{};
    if (options.sampler) {
      LLMC_TRY(known, readStruct(options.sampler, "llmc_sampler_options"));
      sampling = known;
      options.sampler = &sampling;
    }
    llmc_generate_stats ours{};
    LLMC_CHECK(generate(*context->context, options, ours));
    return stats ? writeStruct(ours, stats, "llmc_generate_stats") : Expected<void>();
  });
}

} // extern "C"
