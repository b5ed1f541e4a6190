// llmc inspect: what a model is made of, and what memory it takes.
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Service.h"
#include "compiler/tools/llmc/Verbs.h"

#include <cstdio>
#include <sys/stat.h>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct Options {
  ModelOptions model;
  ContextOptions context;
  bool memory = false, json = false;
};

void printLine(const char *name, const std::string &value) { printf("%-16s %s\n", name, value.c_str()); }

std::string plain(const Json &value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

// A member of a JSON object as text.
std::string member(const Json &object, const char *key) {
  const Json *value = jsonMember(object, key);
  if (!value)
    return "";
  return value->is_string() ? readableText(*jsonString(*value)) : plain(*value);
}

std::string bytesMember(const Json &object, const char *key) { return bytesText(jsonInt(object, key).value_or(0)); }

// "12 x q4_k, 6 x q6_k"
std::string formatsText(const Json &formats) {
  std::string text;
  for (const auto &[format, count] : formats.items())
    text += (text.empty() ? "" : ", ") + plain(count) + " x " + format;
  return text;
}

// ---- Sources --------------------------------------------------------------------------------------------------------

void printList(const Json &model, const char *key, void (*print)(const Json &)) {
  const Json *list = jsonMember(model, key);
  if (!list || list->empty())
    return;
  printf("\n%s\n", key);
  for (const Json &element : *list)
    print(element);
}

void printSource(const Json &model) {
  for (const auto &[key, value] : model.items())
    if (value.is_primitive() && key != "weight_bytes" && key != "operations")
      printLine(key.c_str(), member(model, key.c_str()));
  printLine("weight bytes", bytesMember(model, "weight_bytes"));
  printLine("operations", member(model, "operations") + " (whatever the depth)");
  printList(model, "states", [](const Json &state) {
    bool grows = jsonInt(*jsonMember(state, "bytes_per_position")).value_or(0) > 0;
    printf("  %-20s %s, %s %s\n", member(state, "name").c_str(), member(state, "type").c_str(),
           bytesMember(state, grows ? "bytes_per_position" : "fixed_bytes").c_str(), grows ? "per position" : "per sequence");
  });
  printList(model, "assets", [](const Json &asset) {
    printf("  %-20s %s\n", member(asset, "kind").c_str(), member(asset, "path").c_str());
  });
  printList(model, "weights", [](const Json &weight) {
    printf("  %-20s %-16s %-28s %8s  %s\n", member(weight, "name").c_str(), member(weight, "shape").c_str(),
           formatsText(*jsonMember(weight, "formats")).c_str(), bytesMember(weight, "bytes").c_str(), member(weight, "source").c_str());
  });
}

absl::Status inspectSource(const Options &options) {
  LLMC_ASSIGN(service, toStatus(loadService()));
  LLMC_ASSIGN(text, toStatus(service->describe(options.model.model)));
  if (options.json) {
    printf("%s\n", text.c_str());
    return absl::OkStatus();
  }
  LLMC_ASSIGN(model, toStatus(parseJson(text, options.model.model)));
  printSource(model);
  return absl::OkStatus();
}

// ---- Libraries ------------------------------------------------------------------------------------------------------

Json libraryJson(const Model &model) {
  const llmc_model_info &info = model.info();
  Json result = model.metadata();
  result["isa"] = info.isa;
  result["library"] = info.library_path;
  result["weights"] = info.weights_path;
  result["weight_bytes"] = info.weight_bytes;
  result["max_step_tokens"] = info.max_step_tokens;
  result["has_tokenizer"] = info.has_tokenizer != 0;
  return result;
}

absl::Status inspectLibrary(const Options &options) {
  ModelOptions own = options.model;
  if (own.device.empty())
    own.device = "cpu"; // nothing runs: no GPU need be woken
  LLMC_ASSIGN(model, openModel(own));
  Json json = libraryJson(*model);
  if (options.json) {
    printf("%s\n", plain(json).c_str());
    return absl::OkStatus();
  }
  for (const auto &[key, value] : json.items())
    printLine(key.c_str(), key == "weight_bytes" ? bytesText(model->info().weight_bytes) : member(json, key.c_str()));
  return absl::OkStatus();
}

// ---- Memory ---------------------------------------------------------------------------------------------------------

absl::Status inspectMemory(const Options &options) {
  LLMC_ASSIGN(model, openModel(options.model));
  llmc_context_options wanted{};
  wanted.struct_size = sizeof wanted;
  wanted.context = options.context.context;
  wanted.threads = options.context.threads;
  llmc_memory_info memory{};
  memory.struct_size = sizeof memory;
  llmc_error *error = nullptr;
  LLMC_RETURN_IF_ERROR(model->status(model->api().memory(model->handle(), &wanted, &memory, &error), error));
  LLMC_ASSIGN(weights, model->weightMemory(/*wait=*/true)); // as they will lie at work
  if (options.json) {
    Json json{{"context", memory.context},         {"weight_bytes", memory.weight_bytes},
              {"work_bytes", memory.work_bytes},   {"state_slot_bytes", memory.state_slot_bytes},
              {"state_bytes", memory.state_bytes}, {"available_bytes", memory.available_bytes},
              {"checkpoints", memory.checkpoints}, {"checkpoint_bytes", memory.checkpoint_bytes},
              {"weight_copied_bytes", weights.copied_bytes}, {"weight_huge_bytes", weights.huge_bytes},
              {"weight_note", weights.note}};
    printf("%s\n", plain(json).c_str());
    return absl::OkStatus();
  }
  int64_t needed = memory.work_bytes + memory.state_bytes + memory.checkpoint_bytes;
  printLine("context", std::to_string(memory.context) + " positions");
  printLine("weights", bytesText(memory.weight_bytes) + " (mapped from the file; the system may drop and read them again)");
  printLine("", "after the first step " + bytesText(weights.copied_bytes) + " of them copied, into " +
                    bytesText(weights.huge_bytes) + " of huge pages" + (*weights.note ? std::string("; ") + weights.note : ""));
  printLine("work", bytesText(memory.work_bytes) + " (arena, scratch of the threads, output rows)");
  printLine("states", bytesText(memory.state_bytes) + " when full (" + bytesText(memory.state_bytes / memory.context) + " per position)");
  if (memory.checkpoints)
    printLine("checkpoints", bytesText(memory.checkpoint_bytes) + " (" + std::to_string(memory.checkpoints) +
                                 " copies of the states that do not grow, to go back to)");
  printLine("free", bytesText(memory.available_bytes));
  bool fits = needed <= memory.available_bytes, weightsToo = needed + memory.weight_bytes <= memory.available_bytes;
  printLine("", weightsToo ? "all of it fits" : fits ? "work and states fit, the weights not beside them: expect reading from disk"
                                                     : "does not fit: take a smaller -c");
  return absl::OkStatus();
}

absl::Status inspect(const Options &options) {
  struct stat info;
  if (stat(options.model.model.c_str(), &info) != 0)
    return invalidArgument(options.model.model + ": no such file or directory");
  if (options.memory)
    return inspectMemory(options);
  return isLibrary(options.model.model) ? inspectLibrary(options) : inspectSource(options);
}

} // namespace

void tools::addInspect(CLI::App &program, Action &chosen) {
  auto options = std::make_shared<Options>();
  CLI::App *verb = program.add_subcommand("inspect", "What a model is made of, and what memory it takes");
  addModelOptions(*verb, options->model);
  verb->add_flag("--memory", options->memory, "Memory for a context of -c positions (compiles a source just in time)");
  verb->add_flag("--json", options->json, "Print JSON");
  addContextOptions(*verb, options->context);
  verb->footer("Examples:\n  llmc inspect model.gguf\n  llmc inspect model.so --memory -c 8192");
  verb->callback([=, &chosen] { chosen = [=] { return inspect(*options); }; });
}
