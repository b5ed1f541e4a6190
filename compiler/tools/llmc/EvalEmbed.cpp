// llmc eval embed: texts as vectors.
#include "compiler/tools/llmc/Npy.h"
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Verbs.h"

#include <cstdio>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct EmbedOptions {
  ModelOptions model;
  ContextOptions context;
  std::string prompt, file, output, pooling;
  CLI::Option *promptGiven = nullptr;
  bool noNormalize = false, normalize = false, truncate = false;
};

std::vector<std::string> lines(const std::string &text) {
  std::vector<std::string> result;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    result.push_back(text.substr(at, end - at));
    if (result.back().ends_with('\r'))
      result.back().pop_back();
    at = end + 1;
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> readTexts(const EmbedOptions &options) {
  if ((options.promptGiven->count() > 0) == !options.file.empty())
    return invalidArgument("want texts: -p TEXT, or -f FILE with one in each line");
  if (options.file.empty())
    return std::vector<std::string>{options.prompt};
  LLMC_ASSIGN(text, readInput(options.file));
  std::vector<std::string> texts = lines(text);
  if (texts.empty())
    return invalidArgument(options.file + ": it has no line");
  return texts;
}

// Where the vectors go: a .npy file, or one JSON list a line.
class Sink {
public:
  static absl::StatusOr<Sink> create(const std::string &path, int64_t columns) {
    Sink sink;
    if (path.empty())
      return sink;
    LLMC_ASSIGN(npy, NpyWriter::create(path, columns));
    sink.npy = std::move(npy);
    return sink;
  }
  void append(const std::vector<float> &vector) {
    if (npy)
      return npy->append(vector.data(), 1);
    for (size_t i = 0; i < vector.size(); ++i)
      printf("%s%.9g", i ? ", " : "[", double(vector[i]));
    printf("]\n");
  }
  absl::Status finish() { return npy ? npy->finish() : absl::OkStatus(); }

private:
  std::unique_ptr<NpyWriter> npy;
};

absl::Status embed(const EmbedOptions &options) {
  LLMC_ASSIGN(texts, readTexts(options));
  LLMC_ASSIGN(model, openModel(options.model));
  LLMC_ASSIGN(context, Context::create(*model, options.context.context, options.context.threads));
  LLMC_ASSIGN(sink, Sink::create(options.output, model->info().hidden));
  llmc_embed_options how{};
  how.pooling = options.pooling.empty() ? nullptr : options.pooling.c_str();
  how.normalize = options.normalize ? 1 : options.noNormalize ? 0 : -1;
  how.truncate = options.truncate;
  std::vector<float> vector(size_t(model->info().hidden));
  Progress progress;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (absl::Status status = context->embed(texts[i], how, vector.data()); !status.ok())
      return absl::Status(status.code(), (options.file.empty() ? std::string() : options.file + ": line " + std::to_string(i + 1) + ": ") + std::string(status.message()));
    sink.append(vector);
    progress.update("embedding", double(i + 1) / double(texts.size()));
  }
  return sink.finish();
}

} // namespace

void tools::addEvalEmbed(CLI::App &eval, Action &chosen) {
  auto options = std::make_shared<EmbedOptions>();
  CLI::App *verb = eval.add_subcommand("embed", "Texts as vectors: the hidden states of their tokens, pooled");
  addModelOptions(*verb, options->model);
  options->promptGiven = verb->add_option("-p,--prompt", options->prompt, "One text");
  verb->add_option("-f,--file", options->file, "A text in each line ('-': standard input)");
  verb->add_option("-o,--output", options->output, "A .npy file, float32 [texts, hidden]; default: a JSON list in each line of standard output");
  verb->add_option("--pooling", options->pooling, "mean, cls (the first token), max or last; default: as the model's 1_Pooling says, else mean, or last for models that generate")
      ->check(CLI::IsMember({"mean", "cls", "max", "last"}));
  auto *normalize = verb->add_flag("--normalize", options->normalize, "Scale each vector to length 1; default: as the model's modules.json says");
  verb->add_flag("--no-normalize", options->noNormalize, "Do not")->excludes(normalize);
  verb->add_flag("--truncate", options->truncate, "Cut a text that is longer than the model reads, as sentence-transformers does, instead of refusing it");
  addContextOptions(*verb, options->context);
  verb->footer("Example:\n  llmc eval embed all-MiniLM-L6-v2 -f sentences.txt -o vectors.npy");
  verb->callback([=, &chosen] { chosen = [=] { return embed(*options); }; });
}
