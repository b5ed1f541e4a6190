// llmc eval choice: questions with several answers, by how likely the model finds each. Source: arXiv:2009.03300 (MMLU), as lm-evaluation-harness scores it.
#include "compiler/tools/llmc/OpenModel.h"
#include "compiler/tools/llmc/Progress.h"
#include "compiler/tools/llmc/Softmax.h"
#include "compiler/tools/llmc/Verbs.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

using namespace llmc;
using namespace llmc::tools;

namespace {

struct ChoiceOptions {
  ModelOptions model;
  ContextOptions context;
  std::string file;
  bool json = false;
};

// One line of the file: a text and what may follow it.
struct Question {
  std::string prompt;
  std::vector<std::string> choices;
  size_t answer = 0;
};

constexpr size_t kMostChoices = 26;

absl::StatusOr<std::vector<std::string>> readChoices(const Json &line, const std::string &where) {
  const Json *list = jsonMember(line, "choices");
  std::vector<std::string> choices;
  if (list && list->is_array())
    for (const Json &choice : *list)
      if (auto text = jsonString(choice))
        choices.emplace_back(*text);
  if (!list || !list->is_array() || choices.size() != list->size() || choices.size() < 2 || choices.size() > kMostChoices)
    return invalidArgument(where + ": 'choices': want a list of 2 to " + std::to_string(kMostChoices) + " texts");
  return choices;
}

// {"prompt", "choices", "answer"}: the choices follow the prompt as they are. {"question", "choices", "answer"}: they are listed by letters, and a
// letter follows "Answer:".
absl::StatusOr<Question> readQuestion(const std::string &text, const std::string &where) {
  LLMC_ASSIGN(line, toStatus(parseJson(text, where)));
  if (!line.is_object())
    return invalidArgument(where + ": want a JSON object");
  Question question;
  LLMC_ASSIGN(choices, readChoices(line, where));
  auto prompt = jsonString(line, "prompt"), asked = jsonString(line, "question");
  if (prompt.has_value() == asked.has_value())
    return invalidArgument(where + ": want either 'prompt' or 'question', a text");
  std::optional<int64_t> answer = jsonInt(line, "answer");
  if (!answer || *answer < 0 || *answer >= int64_t(choices.size()))
    return invalidArgument(where + ": 'answer': want the number of a choice, 0 to " + std::to_string(choices.size() - 1));
  question.answer = size_t(*answer);
  if (prompt) {
    question.prompt = *prompt;
    question.choices = std::move(choices);
    return question;
  }
  question.prompt = std::string(*asked) + "\n";
  for (size_t i = 0; i < choices.size(); ++i) {
    question.prompt += std::string(1, char('A' + i)) + ". " + choices[i] + "\n";
    question.choices.push_back(std::string(" ") + char('A' + i));
  }
  question.prompt += "Answer:";
  return question;
}

absl::StatusOr<std::vector<Question>> readQuestions(const std::string &path) {
  LLMC_ASSIGN(text, readInput(path));
  std::vector<Question> questions;
  size_t number = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos)
      continue;
    LLMC_ASSIGN(question, readQuestion(line, path + ": line " + std::to_string(number)));
    questions.push_back(std::move(question));
  }
  if (questions.empty())
    return invalidArgument(path + ": it has no question");
  return questions;
}

// Adds up log p of tokens as their rows come.
struct Scorer {
  const int32_t *next;
  int64_t vocab;
  double sum = 0;

  static int32_t take(void *user, int64_t first, int64_t rows, const float *logits, const float *) {
    auto *scorer = static_cast<Scorer *>(user);
    for (int64_t row = 0; row < rows; ++row) {
      const float *values = logits + row * scorer->vocab;
      scorer->sum += values[scorer->next[first + row]] - logSumExp(values, scorer->vocab);
    }
    return 0;
  }
};

// log p of tokens from number `first` on, each after all before it. What the slot holds of them is not evaluated again.
absl::StatusOr<double> logLikelihood(Context &context, const std::vector<int32_t> &tokens, size_t first) {
  const Model &model = context.model();
  std::vector<int32_t> held(size_t(context.info().context));
  int64_t count = model.api().tokens(context.handle(), 0, held.data(), int64_t(held.size()));
  auto end = held.begin() + count;
  size_t same = size_t(std::mismatch(held.begin(), end, tokens.begin(), tokens.end()).first - held.begin());
  same = std::min(same, first - 1);
  llmc_error *error = nullptr;
  LLMC_RETURN_IF_ERROR(model.status(model.api().rollback(context.handle(), 0, int64_t(same), &error), error));
  std::vector<int64_t> rows(tokens.size() - first);
  std::iota(rows.begin(), rows.end(), int64_t(first - 1 - same));
  Scorer scorer{tokens.data() + first, model.info().vocab};
  llmc_eval_request request{};
  request.tokens = tokens.data() + same;
  request.count = int64_t(tokens.size() - 1 - same);
  request.want = LLMC_WANT_LIST;
  request.rows = rows.data();
  request.row_count = int64_t(rows.size());
  request.on_rows = Scorer::take;
  request.user = &scorer;
  LLMC_RETURN_IF_ERROR(context.eval(request));
  return scorer.sum;
}

struct Verdict {
  size_t likeliest = 0, likeliestByLength = 0; // the second: by log p a byte
  std::vector<double> scores;
};

// A choice is what the tokens of prompt and choice together have behind those of the prompt.
absl::StatusOr<Verdict> judge(Context &context, const Question &question) {
  const Model &model = context.model();
  LLMC_ASSIGN(prompt, model.tokenize(question.prompt, LLMC_ADD_SPECIAL));
  Verdict verdict;
  std::vector<double> byLength;
  for (const std::string &choice : question.choices) {
    LLMC_ASSIGN(whole, model.tokenize(question.prompt + choice, LLMC_ADD_SPECIAL));
    size_t first = std::max<size_t>(size_t(std::ranges::mismatch(prompt, whole).in1 - prompt.begin()), 1);
    if (first >= whole.size())
      return invalidArgument("choice " + quoteText(choice) + " adds no token to its prompt");
    LLMC_ASSIGN(score, logLikelihood(context, whole, first));
    verdict.scores.push_back(score);
    byLength.push_back(score / double(std::max<size_t>(choice.size(), 1)));
  }
  verdict.likeliest = size_t(std::ranges::max_element(verdict.scores) - verdict.scores.begin());
  verdict.likeliestByLength = size_t(std::ranges::max_element(byLength) - byLength.begin());
  return verdict;
}

absl::Status choice(const ChoiceOptions &options) {
  LLMC_ASSIGN(questions, readQuestions(options.file));
  LLMC_ASSIGN(model, openModel(options.model));
  LLMC_RETURN_IF_ERROR(model->checkContinues("likelihood"));
  LLMC_ASSIGN(context, Context::create(*model, options.context.context, options.context.threads));
  Progress progress;
  int64_t right = 0, rightByLength = 0, count = int64_t(questions.size());
  for (int64_t i = 0; i < count; ++i) {
    const Question &question = questions[size_t(i)];
    LLMC_ASSIGN(verdict, judge(*context, question));
    right += verdict.likeliest == question.answer;
    rightByLength += verdict.likeliestByLength == question.answer;
    if (options.json)
      printf("%s\n", Json{{"question", i}, {"answer", question.answer}, {"chosen", verdict.likeliest}, {"log_likelihood", verdict.scores}}.dump().c_str());
    progress.update("questions", double(i + 1) / double(count));
  }
  progress.finish();
  FILE *out = options.json ? stderr : stdout;
  fprintf(out, "by length: %.4f (%lld of %lld)\n", double(rightByLength) / double(count), static_cast<long long>(rightByLength), static_cast<long long>(count));
  fprintf(out, "accuracy: %.4f (%lld of %lld)\n", double(right) / double(count), static_cast<long long>(right), static_cast<long long>(count));
  return absl::OkStatus();
}

} // namespace

void tools::addEvalChoice(CLI::App &eval, Action &chosen) {
  auto options = std::make_shared<ChoiceOptions>();
  CLI::App *verb = eval.add_subcommand("choice", "Questions with several answers (MMLU and kin), by the likelihood of each");
  addModelOptions(*verb, options->model);
  verb->add_option("-f,--file", options->file,
                   "Lines of JSON: {\"question\": …, \"choices\": […], \"answer\": 0} lists choices as A, B, … and compares the letters; with \"prompt\" in place of \"question\" the "
                   "choices themselves follow it")
      ->required();
  verb->add_flag("--json", options->json, "Print a line of JSON for each question; the summary goes to standard error");
  addContextOptions(*verb, options->context);
  verb->footer("Ends with `accuracy: X`, the likeliest choice's; the line before has the same by likelihood a byte, which does not favour short choices.");
  verb->callback([=, &chosen] { chosen = [=] { return choice(*options); }; });
}
