// Kernels for a block of threads, run by an emulator, against their definitions.
#include "compiler/codegen/DeviceCode.h"
#include "passes/lowering/kernels/testing/KernelCases.h"
#include "passes/lowering/kernels/testing/Ptxas.h"
#include "runtime/formats/Half.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>

namespace llmc::kernels::testing {
namespace {

JitTarget device(int64_t threads) {
  return {"sm_90", "#tile.target<\"sm_90\", vector = 128, dot = portable in blocks of " + std::to_string(threads) + ">", "", true, false};
}

constexpr int64_t kChannels = 200;

std::vector<float> randomRow(size_t count) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.5f, 1);
  std::vector<float> row(count);
  for (float &value : row)
    value = normal(random);
  return row;
}

// By many threads (norm) and by one of them (unit_norm); in both orders of the threads, to the bit.
TEST(BlockKernelsTest, normalises) {
  for (int64_t threads : {32, 128, 256}) {
    KernelJit jit(device(threads));
    jit.declare("norm", "#tile.norm<channels = 200, group = 200, norm = <rms, eps = 1.0e-5>, bias = false>", "ppp");
    jit.declare("unit", "#tile.unit_norm<channels = 200, group = 200, eps = 1.0e-5>", "pp");
    jit.compile();
    std::vector<float> x = randomRow(kChannels), gain(kChannels, 2.0f), first;
    double squares = 0;
    for (float value : x)
      squares += double(value) * value / kChannels;
    for (bool backwards : {false, true}) {
      std::vector<float> out(kChannels), unit(kChannels);
      auto *norm = jit.function<void(const float *, const float *, float *)>("norm");
      auto *unitNorm = jit.function<void(const float *, float *)>("unit");
      gpu::runGrid({.threads = threads, .sharedBytes = jit.sharedBytes("norm"), .backwards = backwards},
                   [&] { norm(x.data(), gain.data(), out.data()); });
      gpu::runGrid({.threads = threads, .sharedBytes = jit.sharedBytes("unit"), .backwards = backwards}, [&] { unitNorm(x.data(), unit.data()); });
      for (size_t i = 0; i < x.size(); ++i) {
        double wanted = x[i] / std::sqrt(squares + 1e-5);
        ASSERT_NEAR(out[i], 2 * wanted, 1e-5) << threads << " threads, channel " << i;
        ASSERT_NEAR(unit[i], wanted, 1e-5) << threads << " threads, channel " << i;
      }
      if (backwards)
        EXPECT_EQ(out, first);
      first = out;
    }
  }
}

class BlockKernelsDevices : public ::testing::TestWithParam<JitTarget> {};
INSTANTIATE_TEST_SUITE_P(Devices, BlockKernelsDevices, ::testing::ValuesIn(deviceTargets()), [](const auto &info) { return info.param.name; });

// To nearest even; a NaN stays one; what pads a row is zero, and nothing beyond is written.
TEST_P(BlockKernelsDevices, roundsRows) {
  KernelJit jit(GetParam());
  for (int64_t inputs : {1, 31, 64, 777, 5000})
    jit.declare("round_" + std::to_string(inputs), "#tile.quantize<inputs = " + std::to_string(inputs) + ", arithmetic = bf16>", "pp");
  jit.compile();
  for (int64_t inputs : {1, 31, 64, 777, 5000}) {
    std::vector<float> x = randomRow(size_t(inputs));
    x[0] = std::bit_cast<float>(0x3f808000); // a tie
    if (inputs > 1)
      x[1] = NAN, x[2] = INFINITY, x[3] = std::bit_cast<float>(0x3f818000);
    auto padded = size_t(tile::alignTo(inputs, 32));
    std::vector<uint16_t> out(padded + 1, 0x1234);
    jit.kernel<void(const float *, uint16_t *)>("round_" + std::to_string(inputs))(x.data(), out.data());
    for (size_t i = 0; i < padded; ++i)
      if (i < x.size() && std::isnan(x[i]))
        ASSERT_GT(out[i] & 0x7fff, 0x7f80) << i;
      else
        ASSERT_EQ(out[i], i < x.size() ? floatToBf16(x[i]) : 0) << "of " << inputs << ", number " << i;
    ASSERT_EQ(out[padded], 0x1234);
  }
}

std::string linear(const std::string &weights, const std::string &arithmetic, const std::string &rest) {
  return "#tile.linear<weights = [" + weights + "], arithmetic = " + arithmetic + ", single = true, panels = 1, " + rest + ">";
}

const std::string plain = "bias = true, glu = false, residual = true", glu = "bias = false, glu = true, residual = false, activation = silu";

void checkAssembled(KernelJit &jit, const std::string &name) {
  std::optional<std::string> ptxas = codegen::findPtxas();
  ASSERT_TRUE(ptxas) << "no ptxas: examples/install.sh --cuda installs it";
  for (const char *cpu : {"sm_80", "sm_90"}) {
    std::string ptx = jit.assembly(cpu);
    if (const char *folder = std::getenv("LLMC_KEEP_PTX"))
      llvm::cantFail(llvm::writeToOutput(std::string(folder) + "/" + name + "." + cpu, [&](llvm::raw_ostream &out) { return out << ptx, llvm::Error::success(); }));
    Assembled assembled = assemble(*ptxas, ptx, cpu);
    ASSERT_EQ(assembled.errors, "");
    ASSERT_GE(assembled.spilledBytes.size(), 35u);
    for (const auto &[function, bytes] : assembled.spilledBytes)
      EXPECT_EQ(bytes, 0) << function << " for " << cpu;
  }
}

// Of Mamba, Mamba-2, gated delta nets, RG-LRU and RWKV-4.
void declareRecurrences(KernelJit &jit) {
  auto scan = [&](const std::string &name, const std::string &shape, const std::string &rest, const std::string &operands) {
    jit.declare("scan_" + name, "#tile.scan<" + shape + ", x_bytes = 16384, " + rest + ">", "iipppp" + operands + "pppp");
  };
  const std::string states = "step_bytes = 16384, input_bytes = 16384, output_bytes = 16384, ";
  for (const std::string format : {"f32", "f16", "bf16"})
    scan("diagonal_" + format, "kind = diagonal, form = neg_exp, format = " + format + ", heads = 1, width = 4096, states = 16, groups = 1",
         states + "beta_bytes = 0, skip = true, panels = 1", "pppp");
  for (const std::string count : {"64", "128", "256"})
    scan("scalar_" + count, "kind = scalar, form = neg_exp, format = f32, heads = 64, width = 64, states = " + count + ", groups = 8",
         states + "beta_bytes = 0, skip = true, panels = 1", "pppp");
  for (const std::string count : {"128", "256"})
    scan("delta_" + count, "kind = delta, form = neg_exp, format = f32, heads = 32, width = 128, states = " + count + ", groups = 16",
         states + "beta_bytes = 128, skip = false, panels = 1", "pppp");
  scan("gated", "kind = gated, form = softplus8, format = f32, heads = 1, width = 2560, states = 1, groups = 1",
       "step_bytes = 16384, input_bytes = 0, output_bytes = 0, beta_bytes = 0, skip = false, panels = 2", "p");
  scan("wkv", "kind = wkv, form = neg_exp, format = f32, heads = 1, width = 2048, states = 1, groups = 1",
       "step_bytes = 0, input_bytes = 16384, output_bytes = 0, beta_bytes = 0, skip = true, panels = 2", "pp");
  jit.declare("conv", "#tile.conv<channels = 4096, taps = 4, format = bf16, bias = true, x_bytes = 16384, panels = 2, activation = silu>", "iipppppppp");
  jit.declare("shift", "#tile.shift<channels = 2048, x_bytes = 8192, panels = 2>", "iipppppp");
}

// Each kind of kernel, at the sizes of models, assembles for all cards without spills.
TEST(BlockKernelsTest, assemblesWithoutSpills) {
  KernelJit jit(deviceTargets()[0]);
  int shapes = 0;
  jit.declare("norm", "#tile.norm<channels = 4096, group = 4096, norm = <rms, eps = 1.0e-5>, bias = false>", "ppp");
  jit.declare("layer_norm", "#tile.norm<channels = 768, group = 768, norm = <layer, eps = 1.0e-5>, bias = true>", "pppp");
  jit.declare("head_norm", "#tile.unit_norm<channels = 2048, group = 128, eps = 1.0e-5>", "pp");
  jit.declare("add", "#tile.pointwise<kind = add, channels = 4096>", "ppp");
  jit.declare("glu", "#tile.pointwise<kind = glu, channels = 14336, activation = gelu_tanh>", "ppp");
  jit.declare("rope", "#tile.rope<channels = 4096, head_dim = 128, rotary = <half, dim = 128>>", "ppp");
  jit.declare("quantize", "#tile.quantize<inputs = 14336>", "pp");
  jit.declare("round", "#tile.quantize<inputs = 14336, arithmetic = bf16>", "pp");
  jit.declare("best", "#tile.best_panels<outputs = 262144>", "ippp");
  jit.declare("route", "#tile.route<count = 128, top = 8, scores = softmax, groups = 1, top_groups = 1, group_score = max, normalize = sum, epsilon = 0.0, "
                       "scale = 1.0, bias = true>", "pppp");
  jit.declare("route_groups", "#tile.route<count = 256, top = 8, scores = sigmoid, groups = 8, top_groups = 4, group_score = top2_sum, normalize = sum, "
                              "epsilon = 1.0e-20, scale = 2.5, bias = true>", "pppp");
  for (const char *shape : {"heads = 32, kv_heads = 8, head_dim = 64, element = f16", "heads = 32, kv_heads = 8, head_dim = 128, element = f32",
                            "heads = 4, kv_heads = 1, head_dim = 256, element = f16"})
    jit.declare("attend_" + std::to_string(shapes++), std::string("#tile.attend<") + shape + ", scale = 0.125, window = 512, softcap = 30.0, sinks = true, group = 4>", "iippppp");
  for (const char *shape : {"heads = 32, kv_heads = 8, head_dim = 64, element = f16", "heads = 32, kv_heads = 8, head_dim = 128, element = f16",
                            "heads = 32, kv_heads = 8, head_dim = 128, element = f32", "heads = 4, kv_heads = 1, head_dim = 256, element = f16",
                            "heads = 32, kv_heads = 8, head_dim = 128, element = !llm.quant<q8_0>", "heads = 4, kv_heads = 1, head_dim = 256, element = !llm.quant<q8_0>"})
    jit.declare("part_" + std::to_string(shapes++), std::string("#tile.attend_runs<") + shape + ", scale = 0.125, window = 512, softcap = 30.0, sinks = true, group = 4, "
                "count = 1, q_bytes = 1, out_bytes = 1, split = true, partial = true>", "iippppppp");
  for (const char *shape : {"heads = 32, kv_heads = 8, head_dim = 128, element = f16", "heads = 32, kv_heads = 8, head_dim = 128, element = !llm.quant<q8_0>"})
    jit.declare("part_" + std::to_string(shapes++), std::string("#tile.attend_runs<") + shape + ", scale = 0.125, window = 0, softcap = 0.0, sinks = false, group = 2, "
                "count = 1, q_bytes = 1, out_bytes = 1, split = true, partial = true>", "iippppppp");
  jit.declare("merge", "#tile.merge_parts<heads = 32, head_dim = 128, scale = 0.125, softcap = 30.0, sinks = true>", "ippp");
  for (const char *format : {"f32", "f16", "bf16", "q4_0", "q8_0", "q4_k", "q5_k", "q6_k", "q2_k", "q3_k", "iq4_nl", "mxfp4"})
    jit.declare(std::string("row_") + format, std::string("#tile.decode_row<format = ") + format + ", inputs = 4096>", "pip");
  for (const char *format : {"f32", "f16", "bf16"})
    for (const char *arithmetic : {"f32", "bf16"}) {
      if (std::string(format) == "f32" && std::string(arithmetic) == "bf16")
        continue;
      std::string type = std::string("tensor<4096x4096x") + format + ">", name = std::string(format) + "_" + arithmetic;
      jit.declare("plain_" + name, linear(type, arithmetic, plain), "iippp" "ippp");
      jit.declare("glu_" + name, linear(type + ", " + type, arithmetic, glu), "iipp" "pp" "ii" "p");
    }
  for (const char *format : {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k", "q2_k", "q3_k", "iq4_nl", "mxfp4"})
    for (const char *arithmetic : {"int8", "f32"}) {
      std::string type = std::string("tensor<4096x4096x!llm.quant<") + format + ">>", name = std::string(format) + "_" + arithmetic;
      jit.declare("plain_" + name, linear(type, arithmetic, plain), "iippp" "ippp");
      jit.declare("glu_" + name, linear(type + ", " + type, arithmetic, glu), "iipp" "pp" "ii" "p");
    }
  for (const char *element : {"f32", "f16", "!llm.quant<q8_0>"})
    jit.declare("prepare_" + std::to_string(shapes++), std::string("#tile.prepare<heads = 32, kv_heads = 8, head_dim = 128, element = ") + element +
                ", rotary = <half, dim = 128>, norm = <rms, eps = 1.0e-6>, group = 8>", "iipppp" "p" "pp");
  jit.declare("latent_prepare", "#tile.latent_prepare<heads = 16, latent = 512, query = 192, element = f16, rotary = <interleaved, dim = 64>, "
                                "norm = <rms, eps = 1.0e-6>, group = 8>", "iippppppp");
  for (const char *element : {"f32", "f16"})
    jit.declare(std::string("latent_attend_") + element, std::string("#tile.latent_attend<heads = 16, latent = 512, turned = 64, element = ") + element + ", scale = 0.125>", "iipppp");
  jit.declare("group", "#tile.group_tokens<count = 128, top = 8>", "ipppp");
  declareRecurrences(jit);
  std::string mixed = "tensor<4096x4096x!llm.quant<q4_k|q6_k>>";
  jit.declare("mixed", linear(mixed, "int8", plain), "iippp" "ippp");
  ASSERT_NO_FATAL_FAILURE(checkAssembled(jit, "lanes"));
}

// The same of products of many tokens: tiles of one panel, and of as many as the schedule gives them.
TEST(BlockKernelsTest, matricesAssembleWithoutSpills) {
  KernelJit jit(deviceTargets()[0]);
  int shapes = 0;
  auto many = [&](const std::string &name, const std::string &weights, const std::string &arithmetic, int64_t panels, const std::string &rest,
                  const std::string &arguments) {
    jit.declare("many_" + name + "_" + std::to_string(panels),
                "#tile.linear<weights = [" + weights + "], arithmetic = " + arithmetic + ", single = false, panels = " + std::to_string(panels) + ", " + rest + ">",
                arguments);
  };
  for (const std::string format : {"f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k", "q2_k", "q3_k", "iq4_nl", "mxfp4"}) {
    bool isHalf = format.ends_with("f16"), isUsual = format == "bf16" || format == "q4_k";
    std::string type = "tensor<4096x4096x" + (isHalf ? format : "!llm.quant<" + format + ">") + ">", arithmetic = isHalf ? "bf16" : "int8";
    for (int64_t panels : {1, 4, 8, 16})
      if (isUsual || panels == 1 || panels == 16)
        many(format, type, arithmetic, panels, plain, "iippp" "ippp");
    if (isUsual || format == "q6_k")
      for (int64_t panels : {1, 8})
        many("glu_" + format, type + ", " + type, arithmetic, panels, glu, "iipp" "pp" "ii" "p");
  }
  for (const char *shape : {"heads = 32, kv_heads = 8, head_dim = 64, group = 4, count = 32", "heads = 32, kv_heads = 8, head_dim = 128, group = 4, count = 32",
                            "heads = 4, kv_heads = 1, head_dim = 256, group = 4, count = 32, window = 512, softcap = 30.0", "heads = 32, kv_heads = 32, head_dim = 96, group = 1, count = 128"}) {
    std::string rest = shape, window = rest.find("window") == std::string::npos ? ", window = 0, softcap = 0.0" : "";
    jit.declare("attend_runs_" + std::to_string(shapes++), "#tile.attend_runs<" + rest + window + ", element = f16, scale = 0.125, sinks = false, q_bytes = 16384, out_bytes = 16384>", "iippppppp");
  }
  ASSERT_NO_FATAL_FAILURE(checkAssembled(jit, "matrices"));
}

} // namespace
} // namespace llmc::kernels::testing
