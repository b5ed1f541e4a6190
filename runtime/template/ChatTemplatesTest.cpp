// Where templates are found, which one is taken, and how a request is read.
#include "runtime/template/ChatTemplates.h"

#include "runtime/formats/Gguf.h"
#include "runtime/formats/TestFiles.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace llmc {
namespace {

namespace fs = std::filesystem;

class ChatTemplatesTest : public testing::Test {
protected:
  ChatTemplatesTest() {
    std::string name = fs::temp_directory_path() / "llmc-chat-XXXXXX";
    folder = mkdtemp(name.data());
  }
  ~ChatTemplatesTest() override { fs::remove_all(folder); }
  void write(const std::string &name, const std::string &text) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << text;
  }
  // What the templates of the folder make of a request; an error's message if they make nothing.
  std::string apply(const std::string &request, bool prompt = true) {
    auto read = ChatTemplates::fromHuggingFace(folder);
    if (!read)
      return read.error().message;
    auto again = ChatTemplates::fromBlob(read->toBlob());
    if (!again)
      return again.error().message;
    auto text = again->apply({.request = request, .addGenerationPrompt = prompt});
    return text ? *text : text.error().message;
  }

  fs::path folder;
};

const char *const hello = R"([{"role": "user", "content": "Hello"}])";

TEST_F(ChatTemplatesTest, ReadsTheConfiguration) {
  write("tokenizer_config.json", R"({"chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token }}",
    "bos_token": "<s>", "eos_token": {"content": "</s>", "special": true}, "pad_token": null})");
  EXPECT_EQ("<s>Hello</s>", apply(hello));
  write("special_tokens_map.json", R"({"bos_token": "<other>", "pad_token": "<pad>"})");
  EXPECT_EQ("<s>Hello</s><pad>", apply(hello));
}

TEST_F(ChatTemplatesTest, PrefersFilesOfTheirOwn) {
  write("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ("config", apply(hello));
  write("chat_template.json", R"({"chat_template": "processor"})");
  EXPECT_EQ("processor", apply(hello));
  write("chat_template.jinja", "jinja");
  EXPECT_EQ("jinja", apply(hello));
}

TEST_F(ChatTemplatesTest, ChoosesByName) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]})");
  EXPECT_EQ("plain", apply(hello));
  EXPECT_EQ("tools", apply(R"({"messages": [{"role": "user", "content": "Hello"}], "tools": []})"));
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "x"}]})");
  EXPECT_EQ("want a chat template called 'default', the model has 'rag': give one with --chat-template FILE", apply(hello));
  write("chat_template.jinja", "main");
  write("chat_templates/tool_use.jinja", "more");
  EXPECT_EQ("more", apply(R"({"messages": [{"role": "user", "content": "Hello"}], "tools": [{}]})"));
}

TEST_F(ChatTemplatesTest, ReadsWhatAModuleNames) {
  write("tokenizer_config.json", R"({"chat_template": "config", "bos_token": "<s>"})");
  write("mine.txt", "{{ bos_token }}mine");
  auto text = [&](const char *name) {
    auto read = ChatTemplates::fromFile(folder / name);
    return read ? read->apply({.request = hello}).value_or("") : read.error().message;
  };
  EXPECT_EQ("config", text("tokenizer_config.json"));
  EXPECT_EQ("<s>mine", text("mine.txt"));
}

std::string ggufText(test::GgufBuilder builder, const std::string &request, std::optional<std::string> own = {}) {
  builder.array("tokenizer.ggml.tokens", GgufType::String, std::vector<std::string>{"a", "<s>", "</s>"});
  builder.scalar<uint32_t>("tokenizer.ggml.bos_token_id", GgufType::U32, 1).scalar<uint32_t>("tokenizer.ggml.eos_token_id", GgufType::U32, 99);
  std::string bytes = builder.build(0);
  auto file = Gguf::parse(test::asBytes(bytes), "test.gguf");
  EXPECT_TRUE(file.has_value());
  auto read = ChatTemplates::fromGguf(**file);
  if (own)
    read->replaceBy(*own);
  auto text = read->apply({.request = request});
  return text ? *text : text.error().message;
}

TEST(ChatTemplates, ReadsGgufMetadata) {
  test::GgufBuilder builder;
  EXPECT_NE(std::string::npos, ggufText(builder, hello).find("no chat template"));
  EXPECT_EQ("<s>", ggufText(builder, hello, "{{ bos_token }}{{ eos_token }}")); // an id beyond the vocabulary has no text
  builder.text("tokenizer.chat_template", "{{ bos_token }}plain").text("tokenizer.chat_template.tool_use", "tools");
  EXPECT_EQ("<s>plain", ggufText(builder, hello));
  EXPECT_EQ("tools", ggufText(builder, R"({"messages": [{}], "tools": [{}]})"));
}

TEST_F(ChatTemplatesTest, RefusesAModelWithoutOne) {
  EXPECT_EQ("the model has no chat template: give one with --chat-template FILE, or use a plain prompt", apply(hello));
  write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_NE(std::string::npos, apply(hello).find("'chat_template': want a text or a list"));
}

TEST_F(ChatTemplatesTest, RefusesRequestsThatAreNone) {
  write("chat_template.jinja", "x");
  EXPECT_EQ("messages: want at least one message, the list is empty", apply("[]"));
  EXPECT_EQ("messages: want a list of messages, or an object with \"messages\", got str", apply("\"a\""));
  EXPECT_EQ("messages: message 1: want an object with \"role\" and \"content\", got int", apply("[{}, 1]"));
  EXPECT_EQ("'tools': want a list of objects", apply(R"({"messages": [{}], "tools": {"a": 1}})"));
  EXPECT_NE(std::string::npos, apply("[{").find("messages: line 1"));
}

TEST_F(ChatTemplatesTest, NamesTheTemplateAndThePlace) {
  write("chat_template.jinja", "a\n{{ messages[0].content + 1 }}");
  EXPECT_EQ("chat template: line 2, column 24: can only concatenate str (not \"int\") to str: use '~' or '| string'", apply(hello));
}

TEST_F(ChatTemplatesTest, PassesWhatTheRequestHas) {
  write("chat_template.jinja", "{{ add_generation_prompt }}{{ mode }}{{ tools }}{{ documents }}{{ bos_token }}");
  write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  EXPECT_EQ("TrueNoneNone<s>", apply(hello));
  EXPECT_EQ("FalseNoneNone<s>", apply(hello, false));
  EXPECT_EQ("FalsefastNoneNone!", apply(R"({"messages": [{}], "mode": "fast", "add_generation_prompt": false, "bos_token": "!"})"));
}

TEST_F(ChatTemplatesTest, TellsTheTime) {
  write("chat_template.jinja", "{{ strftime_now('%Y') | int > 2024 }}");
  EXPECT_EQ("True", apply(hello));
  write("chat_template.jinja", "{{ strftime_now('%1000000d') }}");
  EXPECT_NE(std::string::npos, apply(hello).find("gives no text of up to 1024 bytes"));
}

TEST(ChatTemplates, RefusesAnOlderArtifact) {
  EXPECT_EQ("the model's chat template is of an older form: compile the model again",
            ChatTemplates::fromBlob("{% for m in messages %}").error().message);
}

} // namespace
} // namespace llmc
