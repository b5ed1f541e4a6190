// Built without contraction of multiply and add: moments do not depend on the machine's vectors.
#include "compiler/driver/Calibrate.h"

#include "compiler/artifact/Assets.h"
#include "compiler/driver/Compile.h"
#include "compiler/interpreter/Interpreter.h"
#include "compiler/support/ModelMoments.h"
#include "compiler/support/StatusBridge.h"
#include "passes/quantization/Uses.h"
#include "runtime/support/Files.h"

#include "llvm/Support/Parallel.h"

#include <numeric>

using namespace mlir;

namespace llmc {
namespace {

constexpr size_t kMaxTextBytes = size_t(1) << 30;
constexpr int64_t kWindow = 512;  // tokens that are read together
constexpr int64_t kScored = 32;   // one of so many tokens goes through the vocabulary product: its inputs are known by them well enough

#if defined(__x86_64__)
#define LLMC_EACH_MACHINE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LLMC_EACH_MACHINE
#endif

// sums[j] += x[t, i] * x[t, first + j], over all t. x: [rows, columns]
LLMC_EACH_MACHINE void addMoments(const float *x, int64_t rows, int64_t columns, int64_t i, int64_t first, int64_t count, float *sums) {
  for (int64_t t = 0; t < rows; ++t) {
    const float *row = x + t * columns, *with = row + first;
    float own = row[i];
    for (int64_t j = 0; j < count; ++j)
      sums[j] += own * with[j];
  }
}

// Of one entry of a weight array: the inputs that it, or each of its experts, was multiplied with.
struct Inputs {
  int64_t experts = 0, columns = 0, block = 0;
  std::vector<float> sums; // [experts, columns, block]
  std::vector<int64_t> counts;

  Inputs(int64_t experts, int64_t columns)
      : experts(experts), columns(columns), block(packing::momentsBlock(experts, columns)), sums(experts * columns * block), counts(experts) {}

  void add(int64_t expert, ArrayRef<float> x) {
    int64_t rows = x.size() / columns;
    counts[expert] += rows;
    llvm::parallelFor(0, columns, [&](size_t i) {
      int64_t first = i / block * block;
      addMoments(x.data(), rows, columns, i, first, std::min(block, columns - first), sums.data() + (expert * columns + i) * block);
    });
  }

  NamedMoments means(std::string name) const {
    NamedMoments result{std::move(name), experts * columns, block, sums};
    for (auto [i, value] : llvm::enumerate(result.values))
      if (int64_t count = counts[i / (columns * block)])
        value /= float(count);
    return result;
  }
};

class ObservedRows : public WeightRows {
public:
  ObservedRows(std::shared_ptr<const WeightRows> rows, Inputs &inputs) : inner(std::move(rows)), inputs(inputs) {}
  int64_t rows() const override { return inner->rows(); }
  int64_t columns() const override { return inner->columns(); }
  void decode(int64_t row, MutableArrayRef<float> out) const override { inner->decode(row, out); }
  void observe(ArrayRef<float> x, int64_t firstRow) const override { inputs.add(firstRow / (rows() / inputs.experts), x); }

private:
  std::shared_ptr<const WeightRows> inner;
  Inputs &inputs;
};

// A module's files, with an eye on what weights of interest are multiplied with.
class ObservedSource : public WeightSource {
public:
  ObservedSource(ModuleOp module, WeightSource &files) : files(files) {
    for (auto &[op, leader] : productInputs(module)) {
      int64_t columns = leader.getWeights().getShape().back();
      if (columns % 32 == 0) // else they stay floats
        for (int64_t index = 0; index < leader.getWeights().getLayers(); ++index)
          inputs.try_emplace({leader.getSymName().str(), index}, leader.getExperts(), columns);
    }
  }

  llvm::Expected<std::shared_ptr<const WeightRows>> load(llm::WeightOp weight, int64_t index) override {
    auto rows = files.load(weight, index);
    auto found = inputs.find({weight.getSymName().str(), index});
    if (!rows || found == inputs.end())
      return rows;
    return std::make_shared<ObservedRows>(std::move(*rows), found->second);
  }

  std::vector<NamedMoments> moments() const {
    std::vector<NamedMoments> all;
    for (const auto &[key, of] : inputs)
      all.push_back(of.means(momentsName(key.first, key.second)));
    return all;
  }

private:
  WeightSource &files;
  std::map<std::pair<std::string, int64_t>, Inputs> inputs;
};

// ---- Texts ----------------------------------------------------------------------------------------------------------

using Window = std::vector<int32_t>;

// Windows of `size` tokens; each begins as texts of this model do. What is left of a text is a window too, if it is a quarter of one.
llvm::Expected<std::vector<Window>> readTexts(const Tokenizer &tokenizer, ArrayRef<std::string> texts, size_t size) {
  auto begin = toLlvm(tokenizer.encode("", {.addSpecial = true}));
  if (!begin)
    return begin.takeError();
  std::vector<Window> windows;
  for (const std::string &path : texts) {
    auto text = toLlvm(readTextFile(path, kMaxTextBytes));
    if (!text)
      return text.takeError();
    auto tokens = toLlvm(tokenizer.encode(*text, {.addSpecial = true}));
    if (!tokens)
      return tokens.takeError();
    if (tokens->size() < 2)
      return makeError(ErrorCode::InvalidInput, "--calibrate: " + path + " has " + Twine(tokens->size()) + " tokens, want a text of a few thousand");
    for (size_t at = 0; at < tokens->size() && (at == 0 || tokens->size() - at >= size / 4); at += size) {
      windows.emplace_back(tokens->begin() + at, tokens->begin() + std::min(at + size, tokens->size()));
      if (!begin->empty())
        windows.back()[0] = begin->front();
    }
  }
  return windows;
}

Batch batchOf(const Window &window) {
  Batch batch{.tokens = window};
  batch.slots.resize(window.size());
  batch.positions.resize(window.size());
  std::iota(batch.positions.begin(), batch.positions.end(), 0);
  for (size_t row = 0; row < window.size(); row += kScored)
    batch.rows.push_back(int32_t(row));
  return batch;
}

} // namespace

llvm::Error calibrate(ModuleOp module, const std::string &directory, ArrayRef<std::string> texts, const CompileOptions &options,
                      const std::string &output) {
  for (StringRef phase : {"simplify", "fuse"})
    if (llvm::Error error = runPhase(module, phase, options))
      return error;
  auto tokenizer = artifact::openTokenizer(module, directory, options.allowOutside);
  if (!tokenizer)
    return tokenizer.takeError();
  auto context = module->getAttrOfType<IntegerAttr>("llm.context");
  auto windows = readTexts(*tokenizer, texts, std::min<int64_t>(kWindow, context ? std::max<int64_t>(context.getInt(), 2) : kWindow));
  if (!windows)
    return windows.takeError();
  auto files = FileWeightSource::open(module, directory, options.allowOutside);
  if (!files)
    return files.takeError();
  ObservedSource source(module, **files);
  for (auto [i, window] : llvm::enumerate(*windows)) {
    if (options.progress)
      options.progress("reading the calibration text", double(i) / double(windows->size()));
    auto interpreter = Interpreter::create(module, source); // one for each window: no states are left over
    if (!interpreter)
      return interpreter.takeError();
    if (auto result = (*interpreter)->step(batchOf(window)); !result)
      return result.takeError();
  }
  return writeMoments(source.moments(), output);
}

} // namespace llmc
