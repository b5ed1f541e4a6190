// The templates, conversations and snippets of test/conformance/chat against what transformers made of them.
#include "runtime/support/Files.h"
#include "runtime/support/Json.h"
#include "runtime/template/ChatTemplates.h"
#include "runtime/template/Print.h"
#include "runtime/template/Template.h"

#include <filesystem>
#include <gtest/gtest.h>

namespace llmc {
namespace {

const std::string folder = "test/conformance/chat/";

std::string readFile(const std::string &path) {
  auto text = readTextFile(path, size_t(1) << 24);
  EXPECT_TRUE(text.has_value()) << (text ? "" : text.error().message);
  return text.value_or("");
}

Json readJson(const std::string &name) {
  auto json = parseJson(readFile(folder + name), name);
  EXPECT_TRUE(json.has_value()) << (json ? "" : json.error().message);
  return json.value_or(Json());
}

// The clock that make_goldens.py sets.
std::tm goldenClock() {
  std::tm time{};
  time.tm_year = 125, time.tm_mon = 2, time.tm_mday = 9, time.tm_hour = 14, time.tm_min = 5, time.tm_sec = 7;
  time.tm_wday = 0, time.tm_yday = 67;
  return time;
}

// `want`: {"text": …}, or {"error": …}: the template's own words, or null for any other error.
void expectOutcome(const Json &want, const Expected<std::string> &got, const std::string &what) {
  if (auto text = jsonString(want, "text")) {
    ASSERT_TRUE(got.has_value()) << what << ": " << got.error().message;
    EXPECT_EQ(*text, *got) << what;
    return;
  }
  ASSERT_FALSE(got.has_value()) << what << ": want an error, got " << quoteText(*got, 200);
  EXPECT_EQ(ErrorCode::InvalidInput, got.error().code) << what << ": " << got.error().message;
  EXPECT_NE(std::string::npos, got.error().message.find("line ")) << what << ": " << got.error().message;
  if (auto words = jsonString(want, "error"))
    EXPECT_NE(std::string::npos, got.error().message.find(*words)) << what << ": " << got.error().message;
}

class PublishedShape : public testing::TestWithParam<std::string> {};

TEST_P(PublishedShape, RendersAsTransformersDoes) {
  static const Json goldens = readJson("goldens.json");
  const Json *outcomes = jsonMember(*jsonMember(goldens, "templates"), GetParam());
  ASSERT_TRUE(outcomes) << "run make_goldens.py";
  auto model = ChatTemplates::fromBlob(R"({"templates": {"default": ""},
    "tokens": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}})");
  ASSERT_TRUE(model.has_value());
  model->replaceBy(readFile(folder + "templates/" + GetParam() + ".jinja"));
  size_t seen = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder + "conversations")) {
    std::string name = entry.path().stem(), request = readFile(entry.path());
    const Json *want = jsonMember(*outcomes, name);
    ASSERT_TRUE(want) << name << ": run make_goldens.py";
    ++seen;
    expectOutcome(*want, model->apply({.request = request, .now = goldenClock()}), name);
  }
  EXPECT_EQ(outcomes->size(), seen);
}

std::vector<std::string> templateNames() {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(folder + "templates"))
    names.push_back(entry.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Templates, PublishedShape, testing::ValuesIn(templateNames()), [](const auto &info) { return info.param; });

TEST(Snippet, RendersAsJinjaDoes) {
  Json snippets = readJson("snippets.json"), goldens = readJson("goldens.json");
  const Json *outcomes = jsonMember(goldens, "snippets");
  std::string variables = readFile(folder + "variables.json");
  ASSERT_TRUE(outcomes && outcomes->size() == snippets.size()) << "run make_goldens.py";
  for (size_t i = 0; i < snippets.size(); ++i) {
    std::string text(*jsonString(snippets[i]));
    jinja::Rendering rendering{jinja::Limits()};
    rendering.clock = [](const std::string &format) -> Expected<std::string> {
      char out[200];
      std::tm now = goldenClock();
      return std::string(out, std::strftime(out, sizeof out, format.c_str(), &now));
    };
    auto parsed = jinja::Template::parse(text);
    auto values = jinja::fromJson(rendering, variables, "variables.json");
    ASSERT_TRUE(values.has_value());
    jinja::Variables named;
    for (const auto &[key, value] : values->dict().entries)
      named.emplace_back(key.text(), value);
    auto got = parsed ? parsed->render(rendering, named) : Expected<std::string>(std::unexpected(parsed.error()));
    expectOutcome((*outcomes)[i], got, quoteText(text, 400));
  }
}

} // namespace
} // namespace llmc
