// llmc tokenize: text to ids and back. Compiles nothing: the tokenizer comes from the source's own files.
#include "compiler/tools/llmc/Model.h"
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Service.h"
#include "compiler/tools/llmc/Verbs.h"
#include "runtime/formats/Gguf.h"
#include "runtime/template/ChatTemplates.h"
#include "runtime/tokenizer/TokenizeBatch.h"
#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/tools/ApiChatModel.h"

#include <cstdio>
#include <optional>
#include <sys/stat.h>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct Options {
  std::string model, text, file, chat, templateFile;
  CLI::Option *textGiven = nullptr;
  bool ids = false, json = false, noSpecial = false, parseSpecial = false, decode = false, batch = false, allowOutside = false,
       noGenerationPrompt = false;
};

// A tokenizer that reads files, or one inside a compiled model.
class TextCodec {
public:
  virtual ~TextCodec() = default;
  virtual absl::StatusOr<std::vector<int32_t>> encode(const std::string &text, EncodeOptions options) = 0;
  virtual absl::StatusOr<std::string> decode(const std::vector<int32_t> &ids, bool special) = 0;
  virtual absl::StatusOr<std::string> batch(const std::string &request) = 0;
  virtual std::string piece(int32_t id) = 0;
  // The text of a conversation (llmc_chat_options.request).
  virtual absl::StatusOr<std::string> chat(const std::string &request, const std::optional<std::string> &chatTemplate, bool prompt) = 0;
};

class FileCodec final : public TextCodec {
public:
  FileCodec(Tokenizer tokenizer, const Options &options) : tokenizer(std::move(tokenizer)), options(options) {}
  absl::StatusOr<std::vector<int32_t>> encode(const std::string &text, EncodeOptions options) override {
    return toStatus(tokenizer.encode(text, options));
  }
  absl::StatusOr<std::string> decode(const std::vector<int32_t> &ids, bool special) override {
    return toStatus(tokenizer.decode(ids, special));
  }
  absl::StatusOr<std::string> batch(const std::string &request) override {
    return toStatus(tokenizeBatch(tokenizer, request));
  }
  std::string piece(int32_t id) override { return std::string(tokenizer.piece(id)); }
  absl::StatusOr<std::string> chat(const std::string &request, const std::optional<std::string> &chatTemplate, bool prompt) override {
    return toStatus(applyTemplate(request, chatTemplate, prompt));
  }

private:
  Expected<std::string> applyTemplate(const std::string &request, const std::optional<std::string> &chatTemplate, bool prompt);

  Tokenizer tokenizer;
  const Options &options;
};

class LibraryCodec final : public TextCodec {
public:
  explicit LibraryCodec(std::unique_ptr<Model> model) : model(std::move(model)) {}
  absl::StatusOr<std::vector<int32_t>> encode(const std::string &text, EncodeOptions options) override {
    return model->tokenize(text, (options.addSpecial ? LLMC_ADD_SPECIAL : 0) | (options.parseSpecial ? LLMC_PARSE_SPECIAL : 0));
  }
  absl::StatusOr<std::string> decode(const std::vector<int32_t> &ids, bool special) override {
    return model->detokenize(ids, special ? LLMC_KEEP_SPECIAL : 0);
  }
  absl::StatusOr<std::string> batch(const std::string &request) override {
    char *result = nullptr;
    llmc_error *error = nullptr;
    LLMC_RETURN_IF_ERROR(model->status(
        model->api().tokenize_batch(model->handle(), request.data(), int64_t(request.size()), &result, &error), error));
    std::string text = result;
    model->api().free(result);
    return text;
  }
  std::string piece(int32_t id) override {
    int64_t bytes = 0;
    const char *text = model->api().piece(model->handle(), id, &bytes);
    return text ? std::string(text, size_t(bytes)) : "";
  }

  absl::StatusOr<std::string> chat(const std::string &request, const std::optional<std::string> &chatTemplate, bool prompt) override {
    return toStatus(applyChatTemplate(model->api(), model->handle(), request, chatTemplate, prompt));
  }

private:
  std::unique_ptr<Model> model;
};

Expected<Tokenizer> readGguf(const std::string &path) {
  LLMC_TRY(file, Gguf::open(path));
  return Tokenizer::fromGguf(*file);
}

bool isGguf(const std::string &path) {
  FILE *file = fopen(path.c_str(), "rbe");
  char magic[4] = {};
  bool is = file && fread(magic, 1, 4, file) == 4 && std::string_view(magic, 4) == "GGUF";
  if (file)
    fclose(file);
  return is;
}

bool isGgufFile(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (path.ends_with(".gguf") || isGguf(path));
}

Expected<ChatTemplates> readTemplates(const Options &options) {
  std::string path = options.model;
  if (isGgufFile(path)) {
    LLMC_TRY(file, Gguf::open(path));
    return ChatTemplates::fromGguf(*file);
  }
  if (!path.ends_with(".mlir"))
    return ChatTemplates::fromHuggingFace(path);
  LLMC_TRY(service, loadService());
  LLMC_TRY(named, service->chatTemplateOf(path, options.allowOutside));
  return named.empty() ? ChatTemplates() : ChatTemplates::fromFile(named);
}

Expected<std::string> FileCodec::applyTemplate(const std::string &request, const std::optional<std::string> &chatTemplate, bool prompt) {
  LLMC_TRY(templates, readTemplates(options));
  if (chatTemplate)
    templates.replaceBy(*chatTemplate);
  return templates.apply({.request = request, .addGenerationPrompt = prompt});
}

Expected<Tokenizer> readTokenizer(const Options &options) {
  std::string path = options.model;
  if (path.ends_with(".mlir")) {
    LLMC_TRY(service, loadService());
    LLMC_TRY(named, service->tokenizerOf(path, options.allowOutside));
    path = named;
  }
  if (isGgufFile(path))
    return readGguf(path);
  return Tokenizer::fromHuggingFace(path);
}

absl::StatusOr<std::unique_ptr<TextCodec>> openCodec(const Options &options) {
  struct stat info;
  if (stat(options.model.c_str(), &info) != 0)
    return invalidArgument(options.model + ": no such file or directory");
  if (isLibrary(options.model)) {
    LLMC_ASSIGN(model, Model::open(options.model, nullptr, LLMC_HUGE_PAGES_OFF, "cpu"));
    return std::make_unique<LibraryCodec>(std::move(model));
  }
  LLMC_ASSIGN(tokenizer, toStatus(readTokenizer(options)));
  return std::make_unique<FileCodec>(std::move(tokenizer), options);
}

absl::Status decodeText(const Options &options, TextCodec &codec, const std::string &text) {
  LLMC_ASSIGN(ids, parseTokens(text, "--decode"));
  LLMC_ASSIGN(decoded, codec.decode(ids, options.parseSpecial));
  fwrite(decoded.data(), 1, decoded.size(), stdout);
  fputc('\n', stdout);
  return absl::OkStatus();
}

absl::Status encodeText(const Options &options, TextCodec &codec, const std::string &text, EncodeOptions how) {
  LLMC_ASSIGN(ids, codec.encode(text, how));
  if (options.json) {
    Json result{{"text", text}, {"ids", ids}};
    printf("%s\n", result.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  } else if (options.ids) {
    printf("[%s]\n", joinIds(ids, ", ").c_str());
  } else {
    for (int32_t id : ids)
      printf("%8d  %s\n", id, readableText(codec.piece(id)).c_str());
  }
  return absl::OkStatus();
}

// A template writes all special tokens itself, as text.
absl::Status encodeChat(const Options &options, TextCodec &codec) {
  LLMC_ASSIGN(request, readInput(options.chat));
  std::optional<std::string> chatTemplate;
  if (!options.templateFile.empty()) {
    LLMC_ASSIGN(text, readInput(options.templateFile));
    chatTemplate = std::move(text);
  }
  LLMC_ASSIGN(text, codec.chat(request, chatTemplate, !options.noGenerationPrompt));
  return encodeText(options, codec, text, {.addSpecial = false, .parseSpecial = true});
}

absl::Status checkOptions(const Options &options) {
  int texts = int(options.textGiven->count() > 0) + int(!options.file.empty()) + int(!options.chat.empty()) + int(options.batch);
  if (texts != 1)
    return invalidArgument("want one text: TEXT, -f FILE, --chat FILE or --batch");
  if (options.chat.empty() && (!options.templateFile.empty() || options.noGenerationPrompt))
    return invalidArgument("--chat-template and --no-generation-prompt belong to --chat FILE");
  if (!options.chat.empty() && options.decode)
    return invalidArgument("--decode wants ids, --chat a conversation: give one of the two");
  return absl::OkStatus();
}

absl::Status tokenize(const Options &options) {
  LLMC_RETURN_IF_ERROR(checkOptions(options));
  LLMC_ASSIGN(codec, openCodec(options));
  if (options.batch) {
    LLMC_ASSIGN(request, readInput("-"));
    LLMC_ASSIGN(result, codec->batch(request));
    printf("%s\n", result.c_str());
    return absl::OkStatus();
  }
  if (!options.chat.empty())
    return encodeChat(options, *codec);
  std::string text = options.text;
  if (!options.file.empty()) {
    LLMC_ASSIGN(read, readInput(options.file));
    text = std::move(read);
  }
  return options.decode ? decodeText(options, *codec, text)
                        : encodeText(options, *codec, text, {.addSpecial = !options.noSpecial, .parseSpecial = options.parseSpecial});
}

} // namespace

void tools::addTokenize(CLI::App &program, Action &chosen) {
  auto options = std::make_shared<Options>();
  CLI::App *verb = program.add_subcommand("tokenize", "Text to token ids and back");
  verb->add_option("MODEL", options->model, "A tokenizer.json, a tokenizer.model, a Hugging Face directory, a .gguf, .mlir or .so")->required();
  options->textGiven = verb->add_option("TEXT", options->text, "The text; with --decode: ids");
  verb->add_option("-f,--file", options->file, "A file with the text ('-': standard input)");
  verb->add_flag("--ids", options->ids, "Print a JSON list of ids instead of a table");
  verb->add_flag("--json", options->json, "Print {\"text\": …, \"ids\": […]}");
  verb->add_flag("--no-special", options->noSpecial, "Add no BOS or EOS");
  verb->add_flag("--parse-special", options->parseSpecial, "The text of special tokens becomes their ids; with --decode: is shown");
  verb->add_flag("--decode", options->decode, "TEXT holds ids: print what they say");
  verb->add_flag("--batch", options->batch, "Read a JSON list of {\"text\": …, \"special\": …} on standard input");
  verb->add_flag("--allow-outside", options->allowOutside, "A .mlir may name files outside of its directory");
  verb->add_option("--chat", options->chat, "A JSON file ('-': standard input) with a list of messages, or an object with \"messages\" and \"tools\": "
                                            "the text that the model's chat template makes of it, and its ids");
  verb->add_option("--chat-template", options->templateFile, "With --chat: a file with a Jinja template instead of the model's own");
  verb->add_flag("--no-generation-prompt", options->noGenerationPrompt, "With --chat: end with the last message, not with the beginning of an answer");
  verb->footer("Examples:\n"
               "  llmc tokenize model.gguf 'Hello world'\n"
               "  llmc tokenize model.gguf --decode 2,9259,1902\n"
               "  llmc tokenize --batch tokenizer.json < texts.json\n"
               "  llmc tokenize model.gguf --chat messages.json --json");
  verb->callback([=, &chosen] { chosen = [=] { return tokenize(*options); }; });
}
