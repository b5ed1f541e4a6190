// llmc bench: tokens per second, reading a prompt (pp) and generating (tg).
#include "compiler/driver/SourceKey.h"
#include "compiler/tools/llmc/BenchHtml.h"
#include "compiler/tools/llmc/BenchLimits.h"
#include "compiler/tools/llmc/BenchProfile.h"
#include "compiler/tools/llmc/BenchRun.h"
#include "compiler/tools/llmc/Interrupt.h"
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Verbs.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct BenchOptions {
  ModelOptions model;
  std::vector<int64_t> promptSizes{512}, generatedSizes{128}, depths{0}, sequences{1};
  std::vector<int32_t> threads;
  int64_t repetitions = 5, context = 0;
  std::string format = "table", sample = "none", html, limits;
};

struct Result {
  BenchTest test;
  std::vector<double> samples; // tokens per second, in the order they were taken
  Json profile;                // null if none was asked for

  double median() const {
    std::vector<double> sorted = samples;
    std::sort(sorted.begin(), sorted.end());
    size_t n = sorted.size();
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
  }
};

// Measured once for each number of threads.
const Limits &limitsOf(int32_t threads) {
  static std::map<int32_t, Limits> measured;
  auto [place, isNew] = measured.try_emplace(threads);
  if (isNew)
    place->second = measureLimits(threads, Measure::Profile);
  return place->second;
}

absl::StatusOr<Result> measure(const BenchOptions &options, const Model &model, BenchTest test, Progress &progress) {
  LLMC_ASSIGN(run, BenchRun::create(model, test, options.context));
  test.threads = run.context().info().threads;
  if (options.model.profile)
    limitsOf(test.threads);
  Result result{test, {}, {}};
  std::string what = test.name() + ", " + std::to_string(test.threads) + " threads";
  for (int64_t i = -1; i < options.repetitions; ++i) { // the first one warms up
    progress.update(what, double(i + 1) / double(options.repetitions + 1));
    LLMC_ASSIGN(seconds, run.run());
    if (i >= 0)
      result.samples.push_back(double(test.measuredTokens()) / seconds);
    if (i >= 0)
      continue;
    LLMC_RETURN_IF_ERROR(model.weightMemory(/*wait=*/true).status()); // where they will stay
    if (options.model.profile)
      LLMC_RETURN_IF_ERROR(beginProfile(run.context()));
  }
  if (options.model.profile) {
    LLMC_ASSIGN(profile, readProfile(run.context(), limitsOf(test.threads)));
    result.profile = std::move(profile);
  }
  return result;
}

std::vector<BenchTest> listTests(const BenchOptions &options) {
  std::vector<BenchTest> tests;
  std::vector<int32_t> threads = options.threads.empty() ? std::vector<int32_t>{0} : options.threads;
  for (int32_t count : threads)
    for (int64_t depth : options.depths)
      for (int64_t sequences : options.sequences) {
        for (int64_t size : options.promptSizes)
          if (size > 0)
            tests.push_back({.promptTokens = size, .depth = depth, .sequences = sequences, .threads = count});
        for (int64_t size : options.generatedSizes)
          if (size > 0)
            tests.push_back({.generatedTokens = size, .depth = depth, .sequences = sequences, .threads = count, .sample = options.sample});
      }
  return tests;
}

// ---- Output ---------------------------------------------------------------------------------------------------------

Json toJson(const Result &result) {
  const BenchTest &test = result.test;
  Json json{{"test", test.name()},           {"n_prompt", test.promptTokens},         {"n_gen", test.generatedTokens},
            {"n_depth", test.depth},         {"n_sequences", test.sequences},         {"threads", test.threads},
            {"sample", test.draws() ? test.sample : "none"},
            {"samples", result.samples},     {"tokens_per_second", result.median()}};
  if (!result.profile.is_null())
    json["profile"] = result.profile;
  return json;
}

void printJson(const std::vector<Result> &results) {
  for (size_t i = 0; i < results.size(); ++i)
    printf("%s%s", i ? ",\n " : "[", toJson(results[i]).dump().c_str());
  printf("]\n");
}

void printCsv(const std::vector<Result> &results) {
  printf("n_prompt,n_gen,n_depth,n_sequences,threads,tokens_per_second,samples\n");
  for (const Result &result : results) {
    const BenchTest &test = result.test;
    for (int64_t value : {test.promptTokens, test.generatedTokens, test.depth, test.sequences})
      printf("%lld,", static_cast<long long>(value));
    printf("%d,%.3f,", test.threads, result.median());
    for (size_t i = 0; i < result.samples.size(); ++i)
      printf("%s%.3f", i ? ";" : "", result.samples[i]);
    printf("\n");
  }
}

void printTable(const std::vector<Result> &results) {
  printf("%-16s %8s %14s %22s\n", "test", "threads", "tokens/s", "lowest to highest");
  for (const Result &result : results) {
    auto [low, high] = std::minmax_element(result.samples.begin(), result.samples.end());
    printf("%-16s %8d %14.2f %11.2f to %7.2f\n", result.test.name().c_str(), result.test.threads, result.median(), *low, *high);
    if (!result.profile.is_null())
      printProfile(result.profile);
  }
}

// What of this machine matters to the numbers.
bool isOnGpu(const Model &model) { return model.info().device && std::string_view(model.info().device) != "cpu"; }

std::string machineText(const Model &model) {
  if (isOnGpu(model))
    return std::string(model.info().device) + "; code used: " + model.info().isa + "; median of the runs";
  std::istringstream features(machineKey());
  std::string shown;
  for (std::string feature; features >> feature;)
    for (const char *known : {"avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16", "asimd", "asimddp", "sve",
                              "i8mm", "bf16"})
      if (feature == known)
        shown += " " + feature;
  return std::to_string(std::thread::hardware_concurrency()) + " CPUs," + (shown.empty() ? " no vector features known" : shown) +
         "; instructions used: " + model.info().isa + "; median of the runs";
}

absl::Status writeHtml(const BenchOptions &options, const Model &model, const std::vector<Result> &results) {
  Json tests = Json::array();
  for (const Result &result : results)
    tests.push_back(toJson(result));
  std::string name = options.model.model.substr(options.model.model.find_last_of('/', options.model.model.size() - 2) + 1);
  std::ofstream file(options.html);
  file << profilePage(name, machineText(model), tests);
  file.close();
  return file ? absl::OkStatus() : invalidArgument("--html " + options.html + ": can't be written");
}

// Once they have settled.
absl::Status printWeights(const Model &model) {
  LLMC_ASSIGN(info, model.weightMemory(/*wait=*/true));
  if (isOnGpu(model)) {
    fprintf(stderr, "weights: %s, in the GPU's memory\n", bytesText(info.weight_bytes).c_str());
    return absl::OkStatus();
  }
  fprintf(stderr, "weights: %s, %s of them copied, into %s of huge pages%s%s\n", bytesText(info.weight_bytes).c_str(),
          bytesText(info.copied_bytes).c_str(), bytesText(info.huge_bytes).c_str(), *info.note ? "; " : "", info.note);
  return absl::OkStatus();
}

absl::Status bench(const BenchOptions &options) {
  if (!options.limits.empty())
    return printLimits(options.limits, options.threads, options.format);
  if (options.model.profile && options.format == "csv")
    return invalidArgument("--profile: csv has no place for it; want -o table or json");
  if (!options.html.empty() && !options.model.profile)
    return invalidArgument("--html: is a page of what --profile finds; want both");
  if (options.sample != "none" && options.sequences != std::vector<int64_t>{1})
    return invalidArgument("--sample " + options.sample + ": draws for one sequence; want --sequences 1");
  std::vector<BenchTest> tests = listTests(options);
  if (tests.empty())
    return invalidArgument("-p, -n: want at least one test that is not 0");
  LLMC_ASSIGN(model, openModel(options.model));
  LLMC_RETURN_IF_ERROR(model->checkContinues("a benchmark"));
  fprintf(stderr, "machine: %s\n", machineText(*model).c_str());
  Progress progress;
  std::vector<Result> results;
  for (const BenchTest &test : tests) {
    LLMC_ASSIGN(result, measure(options, *model, test, progress));
    results.push_back(std::move(result));
  }
  progress.finish();
  if (!options.html.empty())
    LLMC_RETURN_IF_ERROR(writeHtml(options, *model, results));
  LLMC_RETURN_IF_ERROR(printWeights(*model));
  options.format == "json" ? printJson(results) : options.format == "csv" ? printCsv(results) : printTable(results);
  return absl::OkStatus();
}

} // namespace

void tools::addBench(CLI::App &program, Action &chosen) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App *verb = program.add_subcommand("bench", "Tokens per second, reading prompts and generating");
  addModelOptions(*verb, options->model);
  auto range = CLI::Range(int64_t(0), int64_t(1) << 31);
  auto addList = [&](const char *name, auto &values, const char *what) {
    return verb->add_option(name, values, what)->delimiter(',')->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  addList("-p,--n-prompt", options->promptSizes, "Prompt tokens, one test each; 0: none (512)")->check(range);
  addList("-n,--n-gen", options->generatedSizes, "Tokens to generate, one test each; 0: none (128)")->check(range);
  addList("-d,--depth", options->depths, "Tokens that a sequence holds before a test begins, all tests for each (0)")->check(range);
  addList("--sequences", options->sequences, "Sequences that a test works on together; tokens/s are those of all (1)")->check(CLI::Range(1, 4095));
  addList("-t,--threads", options->threads, "Worker threads, all tests for each; default: the CPUs of this process")->check(CLI::Range(1, 4096));
  verb->add_option("-c,--ctx-size", options->context, "Positions of the context, if more than a test needs")->check(range);
  verb->add_option("--sample", options->sample,
                   "How a generated token is drawn: none (any token is taken, as llama-bench does), greedy, or top-k: of 40, as llmc run does")
      ->check(CLI::IsMember({"none", "greedy", "top-k"}));
  verb->add_option("-r,--repetitions", options->repetitions, "Runs of each test, after one that warms up (5)")->check(CLI::Range(1, 1000));
  verb->add_option("-o,--output", options->format, "table, json or csv")->check(CLI::IsMember({"table", "json", "csv"}));
  verb->add_flag("--profile", options->model.profile,
                 "Where the time goes, loop by loop; a source is compiled for it, a library must be (llmc compile --profile)");
  verb->add_option("--html", options->html, "With --profile: write it as a page too, with a roofline plot and the step's graph");
  // Required until --limits is seen: an optional MODEL after a list (-t 2 MODEL) would be taken for one more of the list.
  CLI::Option *model = verb->get_option("MODEL");
  verb->add_option("--limits", options->limits,
                   "No model: what this machine can do at most, all or reads (bytes read each second), for each -t; -o table or json")
      ->check(CLI::IsMember({"all", "reads"}))
      ->trigger_on_parse()
      ->each([=](const std::string &) { model->required(false); });
  verb->footer("Examples:\n"
               "  llmc bench model.so -p 512 -n 128 -r 5 -t 1,2 -o json\n"
               "  llmc bench model.gguf -p 512 -n 64 --profile --html profile.html\n"
               "  llmc bench --limits all -t 1,2\n"
               "  llmc bench model.gguf -n 64 --disable-pass llm-fuse-glu\n"
               "  llmc bench model.gguf -p 0 -n 64 --sample greedy\n"
               "  llmc bench model.gguf -p 0 -n 32 --depth 0,4096 --sequences 1,16");
  verb->callback([=, &chosen] { chosen = [=] { return bench(*options); }; });
}
