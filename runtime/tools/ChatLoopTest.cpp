#include "runtime/tools/ChatLoop.h"

#include <gtest/gtest.h>
#include <sstream>

namespace llmc {
namespace {

// Renders a request as it is, and says "answer N" to the Nth prompt.
class EchoModel : public ChatModel {
public:
  Expected<std::string> applyTemplate(const std::string &request) override {
    if (request.find("refuse me") != std::string::npos)
      return invalidInput("chat template: line 1, column 1: no");
    return request;
  }
  Expected<llmc_generate_stats> answer(const std::string &prompt, const OnText &onText) override {
    prompts.push_back(prompt);
    onText("answer ");
    onText(std::to_string(prompts.size()));
    llmc_generate_stats stats{};
    stats.finish = finish;
    return stats;
  }
  Expected<void> clear() override {
    ++cleared;
    return {};
  }

  std::vector<std::string> prompts;
  int cleared = 0;
  int32_t finish = LLMC_FINISH_EOS;
};

struct Ran {
  Expected<int> status;
  std::string out, err;
};

std::string contentsOf(std::FILE *file) {
  std::string text(size_t(std::ftell(file)), 0);
  std::rewind(file);
  size_t read = std::fread(text.data(), 1, text.size(), file);
  std::fclose(file);
  text.resize(read);
  return text;
}

Ran run(ChatModel &model, const std::string &input, ChatLoopOptions options = {}) {
  std::FILE *out = std::tmpfile(), *err = std::tmpfile();
  std::istringstream lines(input);
  auto status = ChatLoop(model, options, out, err).run(lines);
  return {status, contentsOf(out), contentsOf(err)};
}

TEST(ChatLoop, KeepsTheConversation) {
  EchoModel model;
  Ran ran = run(model, "Hi \"you\"\n\nAnd?\r\n", {.system = "Be brief.", .isQuiet = true});
  EXPECT_EQ(0, ran.status.value_or(-1));
  EXPECT_EQ("answer 1\nanswer 2\n", ran.out);
  EXPECT_EQ("", ran.err);
  ASSERT_EQ(2u, model.prompts.size());
  EXPECT_EQ(R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi \"you\""}, )"
            R"({"role": "assistant", "content": "answer 1"}, {"role": "user", "content": "And?"}])",
            model.prompts[1]);
}

TEST(ChatLoop, Resets) {
  EchoModel model;
  run(model, "a\n/reset\nb\n/exit\nc\n", {.system = "S"});
  EXPECT_EQ(1, model.cleared);
  ASSERT_EQ(2u, model.prompts.size());
  EXPECT_EQ(R"([{"role": "system", "content": "S"}, {"role": "user", "content": "b"}])", model.prompts[1]);
}

TEST(ChatLoop, SendsLinesThatBeginWithASlash) {
  EchoModel model;
  run(model, "//etc\n");
  EXPECT_EQ(R"([{"role": "user", "content": "/etc"}])", model.prompts.at(0));
}

TEST(ChatLoop, MistakesEndAPipe) {
  EchoModel model;
  Ran ran = run(model, "refuse me\nb\n");
  ASSERT_FALSE(ran.status.has_value());
  EXPECT_EQ("chat template: line 1, column 1: no", ran.status.error().message);
  EXPECT_TRUE(model.prompts.empty());
  EXPECT_EQ("'/rest': no such command; there are /reset, /exit and /help; to send a line that begins with / write //",
            run(model, "/rest\n").status.error().message);
  EXPECT_FALSE(run(model, "\xff\n").status.has_value());
}

TEST(ChatLoop, MistakesDoNotEndADialogue) {
  EchoModel model;
  Ran ran = run(model, "refuse me\nb\n", {.isInteractive = true});
  EXPECT_EQ(0, ran.status.value_or(-1));
  EXPECT_NE(std::string::npos, ran.err.find("error: chat template"));
  EXPECT_EQ(R"([{"role": "user", "content": "b"}])", model.prompts.at(0)); // the refused turn is forgotten
}

TEST(ChatLoop, AnInterruptStopsTheAnswer) {
  EchoModel model;
  model.finish = LLMC_FINISH_CANCELLED;
  EXPECT_EQ(130, run(model, "a\nb\n").status.value_or(-1));
  EXPECT_EQ(1u, model.prompts.size());
  EXPECT_EQ(0, run(model, "a\nb\n", {.isInteractive = true}).status.value_or(-1));
  EXPECT_EQ(3u, model.prompts.size());
}

TEST(ChatLoop, SaysThatTheContextIsFull) {
  EchoModel model;
  model.finish = LLMC_FINISH_CONTEXT;
  EXPECT_NE(std::string::npos, run(model, "a\n").err.find("the context is full"));
}

} // namespace
} // namespace llmc
