// The C ABI as a program of others sees it: libraries linked as the compiler links a model, opened at run time.
// LLMC_FAKE_FOLDER holds them (CMakeLists.txt).
#include "llmc/loader.h"
#include "runtime/abi/tests/FakeModel.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <elf.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

const std::string fakeFolder = LLMC_FAKE_FOLDER;

// Takes an error apart and frees it.
std::string take(const llmc_api &api, llmc_error *error) {
  std::string message = error ? api.error_message(error) : "no error";
  api.error_free(error);
  return message;
}

class Abi : public testing::Test {
protected:
  void SetUp() override { load(fakeFolder + "/fake-model.so"); }
  void TearDown() override {
    if (!api.library)
      return;
    api.context_free(context);
    api.model_close(model);
    llmc_api_close(&api);
  }
  void load(const std::string &path) {
    char message[512] = "";
    ASSERT_EQ(0, llmc_api_open(path.c_str(), &api, message, sizeof message)) << message;
  }
  void open() {
    llmc_error *error = nullptr;
    ASSERT_EQ(LLMC_OK, api.model_open(nullptr, &model, &error)) << take(api, error);
    llmc_context_options options{sizeof options, 100, 2, 2, 0};
    ASSERT_EQ(LLMC_OK, api.context_create(model, &options, &context, &error)) << take(api, error);
  }

  llmc_api api{};
  llmc_model_handle *model = nullptr;
  llmc_context *context = nullptr;
};

TEST_F(Abi, TellsWhatTheModelIs) {
  open();
  llmc_model_info info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(LLMC_OK, api.model_get_info(model, &info, nullptr));
  EXPECT_EQ(FAKE_VOCAB, info.vocab);
  EXPECT_EQ(16, info.max_step_tokens);
  EXPECT_STREQ("generic", info.isa);
  EXPECT_EQ(std::filesystem::canonical(fakeFolder + "/fake-model.so"), info.library_path);
  EXPECT_EQ(0, info.has_tokenizer);
  EXPECT_STREQ("{\"family\": \"fake\"}", api.model_metadata(model));
  int64_t bytes = -1;
  EXPECT_EQ(nullptr, api.model_asset(model, "chat_template", &bytes));
  EXPECT_EQ(0, bytes);
  EXPECT_NE(nullptr, api.model_asset(model, "generation_config", &bytes));
  llmc_context_info sizes{};
  sizes.struct_size = sizeof sizes;
  ASSERT_EQ(LLMC_OK, api.context_get_info(context, &sizes, nullptr));
  EXPECT_EQ(100, sizes.context);
  EXPECT_EQ(2, sizes.threads);
}

TEST_F(Abi, OlderCallersKnowShorterStructs) {
  open();
  struct {
    llmc_model_info info;
    char beyond[16];
  } room{};
  std::memset(&room, 0x55, sizeof room);
  room.info.struct_size = offsetof(llmc_model_info, hidden);
  ASSERT_EQ(LLMC_OK, api.model_get_info(model, &room.info, nullptr));
  EXPECT_EQ(FAKE_VOCAB, room.info.vocab);
  EXPECT_EQ(0x5555555555555555, room.info.hidden);
  llmc_error *error = nullptr;
  room.info.struct_size = 0;
  EXPECT_EQ(LLMC_INVALID_INPUT, api.model_get_info(model, &room.info, &error));
  EXPECT_EQ("llmc_model_info: struct_size is not set", take(api, error));
}

TEST_F(Abi, EvaluatesForksAndSaves) {
  open();
  int32_t ids[] = {3, 4, 5};
  std::vector<float> logits(FAKE_VOCAB), again(FAKE_VOCAB);
  llmc_eval_request request{};
  request.struct_size = sizeof request;
  request.tokens = ids;
  request.count = 3;
  request.want = LLMC_WANT_LAST;
  request.logits = logits.data();
  ASSERT_EQ(LLMC_OK, api.eval(context, &request, nullptr));
  EXPECT_EQ(6, std::max_element(logits.begin(), logits.end()) - logits.begin());
  ASSERT_EQ(LLMC_OK, api.fork(context, 0, 1, nullptr));
  EXPECT_EQ(3, api.length(context, 1));
  EXPECT_EQ(-1, api.length(context, 2));
  int32_t held[3] = {};
  EXPECT_EQ(3, api.tokens(context, 1, held, 3));
  EXPECT_EQ(5, held[2]);

  std::string path = testing::TempDir() + "llmc-abi-state-" + std::to_string(getpid());
  ASSERT_EQ(LLMC_OK, api.state_save_file(context, 1, path.c_str(), nullptr));
  ASSERT_EQ(LLMC_OK, api.clear(context, 0, nullptr));
  ASSERT_EQ(LLMC_OK, api.state_restore_file(context, 0, path.c_str(), nullptr));
  std::filesystem::remove(path);
  ASSERT_EQ(LLMC_OK, api.rollback(context, 0, 2, nullptr));
  request.tokens = ids + 2;
  request.count = 1;
  request.logits = again.data();
  ASSERT_EQ(LLMC_OK, api.eval(context, &request, nullptr));
  EXPECT_EQ(logits, again);
}

// A model whose states hold what the last token left goes back by checkpoints.
TEST_F(Abi, RollsRecurrencesBack) {
  llmc_api_close(&api);
  load(fakeFolder + "/fake-hybrid.so");
  open();
  llmc_context_info sizes{};
  sizes.struct_size = sizeof sizes;
  ASSERT_EQ(LLMC_OK, api.context_get_info(context, &sizes, nullptr));
  EXPECT_EQ(8, sizes.checkpoints);
  llmc_memory_info memory{};
  memory.struct_size = sizeof memory;
  llmc_context_options options{sizeof options, 100, 2, 2, 3};
  ASSERT_EQ(LLMC_OK, api.memory(model, &options, &memory, nullptr));
  EXPECT_EQ(3, memory.checkpoints);
  EXPECT_EQ(2 * 3 * 4096, memory.checkpoint_bytes);

  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 40; ++i)
    ids.push_back(i);
  std::vector<float> first(FAKE_VOCAB), again(FAKE_VOCAB);
  llmc_eval_request request{};
  request.struct_size = sizeof request;
  request.tokens = ids.data();
  request.count = 40;
  request.want = LLMC_WANT_LAST;
  request.logits = first.data();
  ASSERT_EQ(LLMC_OK, api.eval(context, &request, nullptr));
  ASSERT_EQ(LLMC_OK, api.rollback(context, 0, 39, nullptr));
  EXPECT_EQ(39, api.pending(context, 0));
  EXPECT_EQ(0, api.pending(context, 1));
  EXPECT_EQ(-1, api.pending(context, 2));
  request.tokens = ids.data() + 39;
  request.count = 1;
  request.logits = again.data();
  ASSERT_EQ(LLMC_OK, api.eval(context, &request, nullptr));
  EXPECT_EQ(0, api.pending(context, 0));
  EXPECT_EQ(first, again);
}

TEST_F(Abi, ErrorsAreCodesWithOneLine) {
  open();
  llmc_error *error = nullptr;
  EXPECT_EQ(LLMC_INVALID_INPUT, api.rollback(context, 0, 1, &error));
  EXPECT_EQ(LLMC_INVALID_INPUT, api.error_code(error));
  EXPECT_EQ("rollback: want 0 … 0 tokens (slot 0 holds as many), got 1", take(api, error));
  int64_t count;
  EXPECT_EQ(LLMC_UNSUPPORTED, api.tokenize(model, "a", 1, 0, nullptr, 0, &count, &error));
  EXPECT_EQ("the model has no tokenizer: give token ids", take(api, error));
  EXPECT_EQ(LLMC_INVALID_INPUT, api.eval(nullptr, nullptr, &error));
  EXPECT_EQ("context: got NULL", take(api, error));
  llmc_context_options huge{sizeof huge, 2147483584, 4096, 1, 0};
  llmc_context *never = nullptr;
  EXPECT_EQ(LLMC_INVALID_INPUT, api.context_create(model, &huge, &never, &error));
  EXPECT_NE(std::string::npos, take(api, error).find("KV cache for 4096 x 2147483584 tokens needs 256.0 TiB"));
  EXPECT_EQ(LLMC_INVALID_INPUT, api.rollback(context, 9, 0, nullptr));
}

TEST_F(Abi, MemoryIsToldBeforeItIsTaken) {
  open();
  llmc_context_options options{sizeof options, 1000, 2, 1, 0};
  llmc_memory_info memory{};
  memory.struct_size = sizeof memory;
  ASSERT_EQ(LLMC_OK, api.memory(model, &options, &memory, nullptr));
  EXPECT_EQ(1000, memory.context);
  EXPECT_EQ(1024 * 16 * FAKE_LAYERS, memory.state_slot_bytes);
  EXPECT_EQ(2 * memory.state_slot_bytes, memory.state_bytes);
  EXPECT_GT(memory.available_bytes, 0);
}

TEST_F(Abi, GeneratesIdsWithoutATokenizer) {
  open();
  std::vector<int32_t> drawn;
  int32_t prompt[] = {36};
  llmc_generate_options options{};
  options.struct_size = sizeof options;
  options.tokens = prompt;
  options.token_count = 1;
  options.user = &drawn;
  options.on_token = [](void *user, int32_t id, const float *, int64_t) -> int32_t {
    static_cast<std::vector<int32_t> *>(user)->push_back(id);
    return 0;
  };
  llmc_generate_stats stats{};
  stats.struct_size = sizeof stats;
  ASSERT_EQ(LLMC_OK, api.generate(context, &options, &stats, nullptr));
  EXPECT_EQ((std::vector<int32_t>{37, 38, 39, 40}), drawn);
  EXPECT_EQ(LLMC_FINISH_EOS, stats.finish);
}

TEST_F(Abi, AnotherThreadCancels) {
  open();
  std::atomic<int> drawn{0};
  int32_t prompt[] = {1};
  llmc_generate_options options{};
  options.struct_size = sizeof options;
  options.tokens = prompt;
  options.token_count = 1;
  options.flags = LLMC_IGNORE_EOS;
  options.user = &drawn;
  options.on_token = [](void *user, int32_t, const float *, int64_t) -> int32_t {
    ++*static_cast<std::atomic<int> *>(user);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return 0;
  };
  std::thread other([&] {
    while (drawn < 3)
      std::this_thread::yield();
    api.set_cancel(context, 1);
  });
  llmc_generate_stats stats{};
  stats.struct_size = sizeof stats;
  EXPECT_EQ(LLMC_OK, api.generate(context, &options, &stats, nullptr));
  other.join();
  EXPECT_EQ(LLMC_FINISH_CANCELLED, stats.finish);
  EXPECT_LT(stats.generated_tokens, 60);
}

TEST_F(Abi, SamplersDrawAndForget) {
  open();
  llmc_sampler_options options{};
  options.struct_size = sizeof options;
  ASSERT_EQ(LLMC_OK, api.sampler_defaults(model, &options, nullptr));
  EXPECT_EQ(0.0f, options.temperature); // the fake's generation_config
  options.temperature = 1;
  options.seed = 5;
  llmc_sampler *sampler = nullptr;
  ASSERT_EQ(LLMC_OK, api.sampler_create(model, &options, &sampler, nullptr));
  std::vector<float> logits(FAKE_VOCAB, 0.0f);
  auto draw = [&] {
    std::vector<int32_t> ids(8);
    for (int32_t &id : ids) {
      EXPECT_EQ(LLMC_OK, api.sampler_sample(sampler, logits.data(), FAKE_VOCAB, &id, nullptr));
      EXPECT_EQ(LLMC_OK, api.sampler_accept(sampler, id, nullptr));
    }
    return ids;
  };
  auto first = draw();
  api.sampler_reset(sampler);
  EXPECT_EQ(first, draw());
  llmc_error *error = nullptr;
  EXPECT_EQ(LLMC_INVALID_INPUT, api.sampler_accept(sampler, FAKE_VOCAB, &error));
  EXPECT_EQ("token 64: the vocabulary has 64", take(api, error));
  api.sampler_free(sampler);
}

TEST_F(Abi, ContextOutlivesItsModelHandle) {
  open();
  api.model_close(model);
  model = nullptr;
  int32_t id = 1;
  llmc_eval_request request{};
  request.struct_size = sizeof request;
  request.tokens = &id;
  request.count = 1;
  EXPECT_EQ(LLMC_OK, api.eval(context, &request, nullptr));
}

TEST_F(Abi, EmbeddedWeightsOpenFromAnyFolder) {
  std::string folder = testing::TempDir() + "llmc-embedded-" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  std::string path = folder + "/model.so";
  std::filesystem::copy_file(fakeFolder + "/fake-embedded.so", path);
  int64_t offset = (int64_t(std::filesystem::file_size(path)) + 65535) / 65536 * 65536;
  llmc_weights_header header{};
  const uint8_t id[16] = FAKE_WEIGHT_ID;
  std::memcpy(header.magic, LLMC_WEIGHTS_MAGIC, 8);
  std::memcpy(header.id, id, 16);
  header.bytes = 128;
  llmc_footer footer{offset, LLMC_WEIGHTS_HEADER_BYTES + 128, {}};
  std::memcpy(footer.magic, LLMC_FOOTER_MAGIC, 8);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(offset).write(reinterpret_cast<const char *>(&header), sizeof header);
    file.seekp(offset + LLMC_WEIGHTS_HEADER_BYTES).write(std::string(128, 'w').data(), 128);
    file.write(reinterpret_cast<const char *>(&footer), sizeof footer);
  }
  llmc_api_close(&api);
  load(path);
  open();
  llmc_model_info info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(LLMC_OK, api.model_get_info(model, &info, nullptr));
  EXPECT_EQ(std::filesystem::canonical(path), info.weights_path);
  EXPECT_EQ(128, info.weight_bytes);
  std::filesystem::remove_all(folder);
}

TEST_F(Abi, TwoModelsLiveInOneProcess) {
  open();
  llmc_api other{};
  char message[512];
  std::string copy = testing::TempDir() + "llmc-second-" + std::to_string(getpid()) + ".so";
  std::filesystem::copy_file(fakeFolder + "/fake-model.so", copy);
  ASSERT_EQ(0, llmc_api_open(copy.c_str(), &other, message, sizeof message)) << message;
  EXPECT_NE(api.generate, other.generate);
  llmc_model_handle *second = nullptr;
  ASSERT_EQ(LLMC_OK, other.model_open(nullptr, &second, nullptr));
  other.model_close(second);
  llmc_api_close(&other);
  std::filesystem::remove(copy);
}

class Text : public Abi {
protected:
  void SetUp() override {
    load(fakeFolder + "/fake-text.so");
    open();
  }
};

TEST_F(Text, TokenizesBothWays) {
  int64_t count = 0, bytes = 0;
  ASSERT_EQ(LLMC_OK, api.tokenize(model, "ab€", 5, 0, nullptr, 0, &count, nullptr));
  ASSERT_EQ(5, count);
  int32_t ids[5];
  ASSERT_EQ(LLMC_OK, api.tokenize(model, "ab€", 5, 0, ids, 5, &count, nullptr));
  EXPECT_EQ((std::vector<int32_t>{0, 1, 26, 27, 28}), std::vector<int32_t>(ids, ids + 5));
  char text[8] = "";
  ASSERT_EQ(LLMC_OK, api.detokenize(model, ids, 5, 0, text, 8, &bytes, nullptr));
  EXPECT_EQ("ab€", std::string(text, size_t(bytes)));
  EXPECT_EQ(LLMC_INVALID_INPUT, api.detokenize(model, (ids[0] = 99, ids), 1, 0, text, 8, &bytes, nullptr));
}

TEST_F(Text, KnowsItsVocabulary) {
  int64_t bytes = 0;
  const char *piece = api.piece(model, 29, &bytes);
  ASSERT_NE(nullptr, piece);
  EXPECT_EQ("x!", std::string(piece, size_t(bytes)));
  EXPECT_EQ(nullptr, api.piece(model, FAKE_VOCAB, &bytes));
  EXPECT_EQ(nullptr, api.piece(model, -1, &bytes));
  EXPECT_EQ(29, api.find_token(model, "x!", 2));
  EXPECT_EQ(-1, api.find_token(model, "nope", 4));
  EXPECT_EQ(1, api.is_special(model, 40));
  EXPECT_EQ(0, api.is_special(model, 1000));
  int32_t stops[4] = {};
  EXPECT_EQ(2, api.stop_tokens(model, stops, 4));
  EXPECT_EQ(40, stops[0]);
}

TEST_F(Text, StreamsWholeCharacters) {
  llmc_decoder *decoder = nullptr;
  ASSERT_EQ(LLMC_OK, api.decoder_create(model, &decoder, nullptr));
  std::vector<std::string> parts;
  const char *text;
  int64_t bytes;
  for (int32_t id : {0, 26, 27, 28, 1}) {
    ASSERT_EQ(LLMC_OK, api.decoder_push(decoder, id, &text, &bytes, nullptr));
    parts.emplace_back(text, size_t(bytes));
  }
  EXPECT_EQ((std::vector<std::string>{"a", "", "", "€", "b"}), parts);
  EXPECT_EQ(LLMC_INVALID_INPUT, api.decoder_push(decoder, -5, &text, &bytes, nullptr));
  ASSERT_EQ(LLMC_OK, api.decoder_push(decoder, 26, &text, &bytes, nullptr));
  ASSERT_EQ(LLMC_OK, api.decoder_flush(decoder, &text, &bytes, nullptr));
  EXPECT_STREQ("\xef\xbf\xbd", text);
  api.decoder_free(decoder);
}

TEST_F(Text, TokenizesBatches) {
  std::string request = R"([{"text": "abc", "special": false}, {"text": "", "special": false}])";
  char *lists = nullptr;
  ASSERT_EQ(LLMC_OK, api.tokenize_batch(model, request.data(), int64_t(request.size()), &lists, nullptr));
  std::string result = lists;
  api.free(lists);
  std::erase(result, ' ');
  std::erase(result, '\n');
  EXPECT_EQ("[[0,1,2],[]]", result);
  llmc_error *error = nullptr;
  EXPECT_EQ(LLMC_INVALID_INPUT, api.tokenize_batch(model, "{", 1, &lists, &error));
  EXPECT_NE("no error", take(api, error));
}

// What llmc_apply_chat_template makes; its error's message if it makes nothing.
std::string chatText(const llmc_api &api, const llmc_model_handle *model, llmc_chat_options options) {
  options.struct_size = sizeof options;
  char *text = nullptr;
  int64_t bytes = 0;
  llmc_error *error = nullptr;
  if (api.apply_chat_template(model, &options, &text, &bytes, &error) != LLMC_OK)
    return take(api, error);
  std::string result(text, size_t(bytes));
  api.free(text);
  return result;
}

TEST_F(Text, AppliesItsChatTemplate) {
  llmc_model_info info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(LLMC_OK, api.model_get_info(model, &info, nullptr));
  EXPECT_EQ(1, info.has_chat_template);
  llmc_chat_options options{};
  options.request = R"([{"role": "user", "content": "ab"}, {"role": "assistant", "content": "cd"}])";
  EXPECT_EQ("abcdm", chatText(api, model, options));
  options.no_generation_prompt = 1;
  EXPECT_EQ("abcd</s>", chatText(api, model, options));
  options.chat_template = "{{ messages[-1].role }}{{ eos_token }}";
  EXPECT_EQ("assistant</s>", chatText(api, model, options));
  options.chat_template_bytes = 2; // of it
  EXPECT_EQ("chat template: line 1, column 1: this tag has no end: want '}}'", chatText(api, model, options));
}

TEST_F(Text, SaysWhyAChatTemplateRefuses) {
  llmc_chat_options options{};
  EXPECT_EQ("request: got NULL", chatText(api, model, options));
  options.request = "[{\"content\": \"no\"}]";
  EXPECT_NE(std::string::npos, chatText(api, model, options).find("the template refuses this conversation: not that"));
  options.request_bytes = 3; // of it
  EXPECT_NE(std::string::npos, chatText(api, model, options).find("messages: line 1"));
}

TEST_F(Abi, AModelWithoutAChatTemplateSaysSo) {
  open();
  llmc_chat_options options{};
  options.request = "[{\"content\": \"a\"}]";
  EXPECT_EQ("the model has no chat template: give one with --chat-template FILE, or use a plain prompt", chatText(api, model, options));
}

TEST(Loader, RefusesWhatIsNoModel) {
  llmc_api api;
  char message[512];
  EXPECT_EQ(1, llmc_api_open("./does-not-exist.so", &api, message, sizeof message));
  EXPECT_EQ(nullptr, api.library);
  EXPECT_EQ(1, llmc_api_open("libm.so.6", &api, message, sizeof message));
  EXPECT_STREQ("libm.so.6: not a compiled model (or an older one): llmc_abi_version is missing", message);
}

// What the dynamic section of an ELF file names.
struct DynamicNames {
  std::set<std::string> needed, exported;

  explicit DynamicNames(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    auto *elf = reinterpret_cast<const Elf64_Ehdr *>(bytes.data());
    auto *sections = reinterpret_cast<const Elf64_Shdr *>(bytes.data() + elf->e_shoff);
    for (int i = 0; i < elf->e_shnum; ++i) {
      const char *start = bytes.data() + sections[i].sh_offset, *end = start + sections[i].sh_size;
      const char *names = bytes.data() + sections[sections[i].sh_link].sh_offset;
      if (sections[i].sh_type == SHT_DYNAMIC)
        for (auto *entry = reinterpret_cast<const Elf64_Dyn *>(start); (const char *)entry < end; ++entry)
          if (entry->d_tag == DT_NEEDED)
            needed.insert(names + entry->d_un.d_val);
      if (sections[i].sh_type == SHT_DYNSYM)
        for (auto *symbol = reinterpret_cast<const Elf64_Sym *>(start); (const char *)symbol < end; ++symbol)
          if (symbol->st_shndx != SHN_UNDEF)
            exported.insert(names + symbol->st_name);
    }
  }
};

TEST(Link, NeedsOnlyTheLanguagesOwnLibraries) {
  for (const std::string &name : DynamicNames(fakeFolder + "/fake-model.so").needed)
    EXPECT_TRUE(
        (std::set<std::string>{"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"})
            .contains(name))
        << name;
}

TEST(Link, ExportsTheAbiAndTheDescriptorOnly) {
  std::set<std::string> expected = {"llmc_model"};
#define LLMC_NAME(name) expected.insert("llmc_" #name);
  LLMC_FUNCTIONS(LLMC_NAME)
#undef LLMC_NAME
  EXPECT_EQ(expected, DynamicNames(fakeFolder + "/fake-model.so").exported);
}

} // namespace
