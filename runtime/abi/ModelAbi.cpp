// llmc.h: errors, model, context, memory.
#include "runtime/abi/Handles.h"
#include "runtime/abi/LibraryPath.h"
#include "runtime/engine/Machine.h"

#include <cstdlib>

using namespace llmc;
using namespace llmc::abi;

namespace {

Expected<OpenOptions> openOptions(const llmc_open_options *given) {
  LLMC_TRY(options, readStruct(given, "llmc_open_options"));
  OpenOptions ours;
  ours.weightsPath = options.weights_path ? options.weights_path : "";
  const char *forced = std::getenv("LLMC_ISA");
  ours.isa = options.isa ? options.isa : forced ? forced : "";
  if (options.huge_pages < LLMC_HUGE_PAGES_AUTO || options.huge_pages > LLMC_HUGE_PAGES_OFF)
    return invalidInput("huge_pages: " + std::to_string(options.huge_pages) + " is no member of llmc_huge_pages");
  ours.hugePages = HugePages(options.huge_pages);
  const char *place = std::getenv("LLMC_DEVICE");
  ours.device = options.device ? options.device : place ? place : "";
  return ours;
}

static_assert(int(HugePages::On) == LLMC_HUGE_PAGES_ON && int(HugePages::Off) == LLMC_HUGE_PAGES_OFF);

Expected<ContextOptions> contextOptions(const llmc_context_options *given) {
  LLMC_TRY(options, readStruct(given, "llmc_context_options"));
  return ContextOptions{options.context, options.slots, options.threads, options.checkpoints};
}

} // namespace

extern "C" {

uint32_t llmc_abi_version(void) { return LLMC_ABI_VERSION; }

int32_t llmc_error_code(const llmc_error *error) { return error ? error->code : LLMC_OK; }
const char *llmc_error_message(const llmc_error *error) { return error ? error->message.c_str() : ""; }
void llmc_error_free(llmc_error *error) { delete error; }
void llmc_free(void *memory) { std::free(memory); }

int32_t llmc_model_open(const llmc_open_options *options, llmc_model_handle **model, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(model, "model"));
    LLMC_TRY(ours, openOptions(options));
    LLMC_TRY(opened, LoadedModel::open(llmc_model, libraryPathOf(&llmc_model), ours));
    *model = new llmc_model_handle{opened};
    return {};
  });
}

void llmc_model_close(llmc_model_handle *model) { delete model; }

int32_t llmc_model_get_info(const llmc_model_handle *handle, llmc_model_info *info, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(handle, "model"));
    const LoadedModel &model = *handle->model;
    const llmc_artifact &artifact = model.artifact();
    llmc_model_info ours{};
    ours.vocab = artifact.vocab;
    ours.hidden = artifact.hidden;
    ours.context = artifact.context;
    ours.weight_bytes = artifact.weight_bytes;
    ours.max_step_tokens = model.maxStepTokens();
    ours.isa = model.isa().name;
    ours.library_path = model.libraryPath().c_str();
    ours.weights_path = model.weightsPath().c_str();
    ours.has_tokenizer = model.tokenizer().has_value();
    ours.has_chat_template = model.asset("chat_template").value_or(std::span<const std::byte>()).size() > 0;
    ours.device = model.device().c_str();
    ours.looks_ahead = model.looksAhead();
    ours.has_logits = model.hasLogits();
    ours.max_source_tokens = model.maxSourceTokens();
    return writeStruct(ours, info, "llmc_model_info");
  });
}

const char *llmc_model_metadata(const llmc_model_handle *model) { return model->model->artifact().metadata; }

const void *llmc_model_asset(const llmc_model_handle *model, const char *name, int64_t *bytes) {
  auto asset = model->model->asset(name);
  *bytes = asset ? int64_t(asset->size()) : 0;
  return asset ? asset->data() : nullptr;
}

int32_t llmc_weight_memory(const llmc_model_handle *handle, int32_t wait, llmc_weight_memory_info *info,
                           llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(handle, "model"));
    WeightMemory &memory = handle->model->weightMemory();
    if (wait)
      memory.settle();
    WeightMemory::State state = memory.state();
    llmc_weight_memory_info ours{};
    ours.weight_bytes = handle->model->artifact().weight_bytes;
    ours.copied_bytes = state.copiedBytes;
    ours.huge_bytes = state.hugeBytes;
    ours.settled = state.settled;
    ours.note = state.note;
    return writeStruct(ours, info, "llmc_weight_memory_info");
  });
}

int32_t llmc_memory(const llmc_model_handle *handle, const llmc_context_options *options, llmc_memory_info *info,
                    llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(handle, "model"));
    LLMC_TRY(ours, contextOptions(options));
    int64_t available = handle->model->availableBytes();
    LLMC_TRY(plan, planContext(*handle->model, ours, available));
    llmc_memory_info memory{};
    memory.context = plan.context;
    memory.weight_bytes = handle->model->artifact().weight_bytes;
    memory.work_bytes = plan.workBytes();
    memory.state_slot_bytes = plan.slotBytes;
    memory.state_bytes = plan.stateBytes;
    memory.available_bytes = available;
    memory.checkpoints = plan.checkpoints;
    memory.checkpoint_bytes = plan.allCheckpointBytes;
    return writeStruct(memory, info, "llmc_memory_info");
  });
}

int32_t llmc_context_create(llmc_model_handle *model, const llmc_context_options *options, llmc_context **context,
                            llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(model, "model"));
    LLMC_CHECK(notNull(context, "context"));
    LLMC_TRY(ours, contextOptions(options));
    LLMC_TRY(made, Context::create(model->model, ours));
    *context = new llmc_context{std::move(made)};
    return {};
  });
}

void llmc_context_free(llmc_context *context) { delete context; }

int32_t llmc_context_get_info(const llmc_context *handle, llmc_context_info *info, llmc_error **error) {
  return guard(error, [&]() -> Expected<void> {
    LLMC_CHECK(notNull(handle, "context"));
    const ContextPlan &plan = handle->context->plan();
    return writeStruct(llmc_context_info{0, plan.context, plan.slots, plan.threads, plan.checkpoints}, info, "llmc_context_info");
  });
}

void llmc_set_cancel(llmc_context *context, int32_t on) { context->context->setCancel(on != 0); }

} // extern "C"
