// The patterns are those of the models' own tokenizer.json; the names and flags are llama.cpp's.
// Source: https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp
#include "runtime/tokenizer/GgufPreTokenizers.h"

#include <iterator>

namespace llmc {
namespace {

using Patterns = std::string_view[];

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define SYMBOLS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CJK "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define PUNCTUATED_WORDS                                                                                               \
  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"                 \
  " ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES

constexpr std::string_view kGpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kBloom = " ?[^(\\s|.,!?…。，、।۔،)]+";

constexpr Patterns kDefaultPatterns = {"[\\p{P}$+<=>^~|]+", kGpt2, "\\p{N}+", "[0-9][0-9][0-9]"};
constexpr Patterns kGpt2Patterns = {kGpt2};
constexpr Patterns kDigitPatterns = {"\\p{N}", kGpt2};
constexpr Patterns kFalconPatterns = {"[\\p{P}$+<=>^~|`]+", kGpt2, "[0-9][0-9][0-9]"};
constexpr Patterns kLlama3Patterns = {CONTRACTIONS "|" LETTERS "|\\p{N}{1,3}|" SYMBOLS "|" SPACES};
constexpr Patterns kQwen2Patterns = {CONTRACTIONS "|" LETTERS "|\\p{N}|" SYMBOLS "|" SPACES};
constexpr Patterns kQwen35Patterns = {
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES};
constexpr Patterns kJais2Patterns = {
    CONTRACTIONS "|" LETTERS "|\\p{N}{1,3}|" SYMBOLS "|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|"
                 "\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"};
constexpr Patterns kO200kPatterns = {"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" CONTRACTIONS
                                     "?|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" CONTRACTIONS
                                     "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES};
constexpr Patterns kTekkenPatterns = {"[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+|[^\\r\\n\\p{L}\\p{N}]?" UPPER
                                      "+" LOWER "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES};
constexpr Patterns kDeepseekLlmPatterns = {
    "[\\r\\n]",
    "\\s?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-\\x{293}"
    "\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}"
    "\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}"
    "\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}"
    "\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}"
    "\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}"
    "\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}"
    "\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}"
    "\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}"
    "\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}"
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}"
    "\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}"
    "\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}"
    "\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+",
    "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+",
    "\\s+$",
    "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+",
    "\\p{N}+"};
constexpr Patterns kDeepseekCoderPatterns = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+",
                                             "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+", "\\p{N}"};
constexpr Patterns kDeepseek3Patterns = {"\\p{N}{1,3}", CJK, PUNCTUATED_WORDS};
constexpr Patterns kBloomPatterns = {kBloom};
constexpr Patterns kVikingPatterns = {kBloom, "\\p{N}"};
constexpr Patterns kBailingPatterns = {
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|"
    "\\s+(?!\\S)|\\s+"};
constexpr Patterns kSeedCoderPatterns = {
    CONTRACTIONS "|" LETTERS "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"};

constexpr GgufPreTokenizer kPreTokenizers[] = {
    {"default", kDefaultPatterns},
    {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", kLlama3Patterns, true, true},
    {"dbrx smaug-bpe glm4 chatglm-bpe", kLlama3Patterns},
    {"gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert jina-v1-en jina-v2-code "
     "roberta-bpe mpt olmo jais trillion granite-docling exaone4",
     kGpt2Patterns},
    {"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", kDigitPatterns},
    {"falcon", kFalconPatterns},
    {"qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 hunyuan solar-open megrez grok-2", kQwen2Patterns},
    {"qwen35", kQwen35Patterns},
    {"jais-2", kJais2Patterns},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", kO200kPatterns},
    {"tekken", kTekkenPatterns, true, true},
    {"deepseek-llm", kDeepseekLlmPatterns},
    {"deepseek-coder", kDeepseekCoderPatterns},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", kDeepseek3Patterns},
    {"bloom poro-chat gpt3-finnish", kBloomPatterns},
    {"viking", kVikingPatterns},
    {"bailingmoe bailingmoe2 llada-moe", kBailingPatterns},
    {"seed-coder", kSeedCoderPatterns},
};

bool hasName(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    size_t end = names.find(' ');
    if (names.substr(0, end) == name)
      return true;
    names.remove_prefix(end == names.npos ? names.size() : end + 1);
  }
  return false;
}

} // namespace

const GgufPreTokenizer *findGgufPreTokenizer(std::string_view name) {
  for (const GgufPreTokenizer &entry : kPreTokenizers)
    if (hasName(entry.names, name))
      return &entry;
  return nullptr;
}

} // namespace llmc
