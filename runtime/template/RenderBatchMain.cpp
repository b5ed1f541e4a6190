// RenderBatchMain VARIABLES.json < templates > outcomes: renders a JSON list of templates with one set of variables, for comparisons
// with the reference. An outcome is {"text": …}, or {"error": …, "code": …}.
#include "runtime/support/Files.h"
#include "runtime/support/Json.h"
#include "runtime/template/Print.h"
#include "runtime/template/Template.h"

#include <iostream>
#include <iterator>

namespace llmc {
namespace {

Expected<std::string> render(const std::string &source, const std::string &variables) {
  jinja::Rendering rendering{jinja::Limits()};
  rendering.clock = [](const std::string &format) -> Expected<std::string> { return format; };
  LLMC_TRY(parsed, jinja::Template::parse(source));
  LLMC_TRY(values, jinja::fromJson(rendering, variables, "variables"));
  if (!values.is(jinja::Kind::Dict))
    return invalidInput("variables: want an object");
  jinja::Variables named;
  for (const auto &[key, value] : values.dict().entries)
    named.emplace_back(key.text(), value);
  return parsed.render(rendering, named);
}

Json outcome(const Expected<std::string> &text) {
  if (text)
    return Json{{"text", *text}};
  return Json{{"error", text.error().message}, {"code", int(text.error().code)}};
}

Expected<std::string> run(const std::string &variablesPath) {
  constexpr size_t maxBytes = size_t(1) << 26;
  LLMC_TRY(variables, readTextFile(variablesPath, maxBytes));
  std::string request(std::istreambuf_iterator<char>(std::cin), {});
  LLMC_TRY(templates, parseJson(request, "templates"));
  Json outcomes = Json::array();
  for (const Json &source : templates)
    outcomes.push_back(outcome(render(std::string(jsonString(source).value_or("")), variables)));
  return outcomes.dump();
}

} // namespace
} // namespace llmc

int main(int argc, char **argv) {
  if (argc != 2) {
    std::cerr << "usage: RenderBatchMain VARIABLES.json < templates\n";
    return 1;
  }
  auto result = llmc::run(argv[1]);
  if (!result) {
    std::cerr << result.error().message << "\n";
    return int(result.error().code);
  }
  std::cout << *result << "\n";
}
