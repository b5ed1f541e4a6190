#include "compiler/tools/llmc/Suggest.h"

#include <algorithm>

using namespace llmc;

size_t tools::editDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  return cost[a.size()][b.size()];
}

std::string tools::nearest(std::string_view word, const std::vector<std::string> &known) {
  constexpr size_t longest = 40; // of any name of ours; longer words are not near
  if (word.size() > longest)
    return "";
  std::string best;
  size_t bestDistance = std::clamp<size_t>(word.size() / 3, 1, 3) + 1;
  for (const std::string &candidate : known)
    if (size_t distance = editDistance(word, candidate); distance < bestDistance)
      best = candidate, bestDistance = distance;
  return best;
}

static std::vector<std::string> optionNames(const CLI::App &app) {
  std::vector<std::string> names;
  for (const CLI::Option *option : app.get_options([](const CLI::Option *option) { return !option->get_group().empty(); }))
    for (const std::string &name : option->get_lnames())
      names.push_back("--" + name);
  return names;
}

static std::vector<std::string> verbNames(const CLI::App &app) {
  std::vector<std::string> names;
  for (const CLI::App *verb : app.get_subcommands([](const CLI::App *) { return true; }))
    names.push_back(verb->get_name());
  return names;
}

std::string tools::suggestion(const CLI::App &program) {
  const CLI::App *innermost = &program;
  while (!innermost->get_subcommands().empty())
    innermost = innermost->get_subcommands().back();
  for (const std::string &word : program.remaining(true)) {
    std::string name = word.substr(0, word.find('='));
    std::string found = nearest(name, word.starts_with("-") ? optionNames(*innermost) : verbNames(*innermost));
    if (!found.empty())
      return found;
  }
  return "";
}
