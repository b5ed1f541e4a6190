// llmc tokenize: text to ids and back. Compiles nothing: the tokenizer comes from the source's own files.
#include "compiler/tools/llmc/Model.h"
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Service.h"
#include "compiler/tools/llmc/Verbs.h"
#include "runtime/formats/Gguf.h"
#include "runtime/tokenizer/TokenizeBatch.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <cstdio>
#include <sys/stat.h>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct Options {
  std::string model, text, file;
  CLI::Option *textGiven = nullptr;
  bool ids = false, json = false, noSpecial = false, parseSpecial = false, decode = false, batch = false, allowOutside = false;
  std::unique_ptr<Unsupported> refused;
};

// A tokenizer that reads files, or one inside a compiled model.
class TextCodec {
public:
  virtual ~TextCodec() = default;
  virtual absl::StatusOr<std::vector<int32_t>> encode(const std::string &text, EncodeOptions options) = 0;
  virtual absl::StatusOr<std::string> decode(const std::vector<int32_t> &ids, bool special) = 0;
  virtual absl::StatusOr<std::string> batch(const std::string &request) = 0;
  virtual std::string piece(int32_t id) = 0;
};

class FileCodec final : public TextCodec {
public:
  explicit FileCodec(Tokenizer tokenizer) : tokenizer(std::move(tokenizer)) {}
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

private:
  Tokenizer tokenizer;
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

Expected<Tokenizer> readTokenizer(const Options &options) {
  std::string path = options.model;
  if (path.ends_with(".mlir")) {
    LLMC_TRY(service, loadService());
    LLMC_TRY(named, service->tokenizerOf(path, options.allowOutside));
    path = named;
  }
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && (path.ends_with(".gguf") || isGguf(path)))
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
  return std::make_unique<FileCodec>(std::move(tokenizer));
}

absl::Status decodeText(const Options &options, TextCodec &codec, const std::string &text) {
  LLMC_ASSIGN(ids, parseTokens(text, "--decode"));
  LLMC_ASSIGN(decoded, codec.decode(ids, options.parseSpecial));
  fwrite(decoded.data(), 1, decoded.size(), stdout);
  fputc('\n', stdout);
  return absl::OkStatus();
}

absl::Status encodeText(const Options &options, TextCodec &codec, const std::string &text) {
  LLMC_ASSIGN(ids, codec.encode(text, {.addSpecial = !options.noSpecial, .parseSpecial = options.parseSpecial}));
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

absl::Status tokenize(const Options &options) {
  LLMC_RETURN_IF_ERROR(options.refused->check());
  if (!options.batch && (options.textGiven->count() > 0) == !options.file.empty())
    return invalidArgument("want one text: TEXT or -f FILE");
  LLMC_ASSIGN(codec, openCodec(options));
  if (options.batch) {
    LLMC_ASSIGN(request, readInput("-"));
    LLMC_ASSIGN(result, codec->batch(request));
    printf("%s\n", result.c_str());
    return absl::OkStatus();
  }
  std::string text = options.text;
  if (!options.file.empty()) {
    LLMC_ASSIGN(read, readInput(options.file));
    text = std::move(read);
  }
  return options.decode ? decodeText(options, *codec, text) : encodeText(options, *codec, text);
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
  options->refused = std::make_unique<Unsupported>(*verb, std::initializer_list<Unsupported::Option>{{"--chat", "chat templates are"}});
  verb->footer("Examples:\n"
               "  llmc tokenize model.gguf 'Hello world'\n"
               "  llmc tokenize model.gguf --decode 2,9259,1902\n"
               "  llmc tokenize --batch tokenizer.json < texts.json");
  verb->callback([=, &chosen] { chosen = [=] { return tokenize(*options); }; });
}
