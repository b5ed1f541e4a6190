#include "compiler/halide/Kinds.h"

#include "dialects/tile/Layout.h"

#include "llvm/ADT/TypeSwitch.h"

using llvm::StringRef;

namespace llmc::halide {
namespace {

using Result = std::optional<Kernel>;

Result convert(tile::NormAttr norm, tile::TargetAttr) {
  return Norm{norm.getChannels(), norm.getGroup(), norm.getNorm().getKind() == llm::NormKind::layer, /*gain=*/true, norm.getBias(),
              norm.getNorm().getEps().value, norm.getNorm().getOffset().value};
}

Result convert(tile::UnitNormAttr norm, tile::TargetAttr) {
  return Norm{norm.getChannels(), norm.getGroup(), /*subtractMean=*/false, /*gain=*/false, /*bias=*/false, norm.getEps().value, 0};
}

// gelu (by erf) and softplus are not there.
std::optional<Pointwise::Function> functionOf(llm::ActivationAttr activation) {
  if (!activation)
    return Pointwise::Function::None;
  switch (activation.getValue()) {
  case llm::Activation::relu: return Pointwise::Function::Relu;
  case llm::Activation::relu2: return Pointwise::Function::Relu2;
  case llm::Activation::sigmoid: return Pointwise::Function::Sigmoid;
  case llm::Activation::silu: return Pointwise::Function::Silu;
  case llm::Activation::tanh: return Pointwise::Function::Tanh;
  case llm::Activation::gelu_tanh: return Pointwise::Function::GeluTanh;
  default: return std::nullopt;
  }
}

std::optional<Pointwise::Kind> kindOf(tile::Pointwise kind) {
  switch (kind) {
  case tile::Pointwise::add: return Pointwise::Kind::Add;
  case tile::Pointwise::copy: return Pointwise::Kind::Copy;
  case tile::Pointwise::scale: return Pointwise::Kind::Scale;
  case tile::Pointwise::softcap: return Pointwise::Kind::Softcap;
  case tile::Pointwise::activation: return Pointwise::Kind::Activation;
  case tile::Pointwise::glu: return Pointwise::Kind::Glu;
  case tile::Pointwise::mul: return Pointwise::Kind::Mul;
  case tile::Pointwise::mix: return Pointwise::Kind::Mix;
  case tile::Pointwise::clamp: return Pointwise::Kind::Clamp;
  }
  return std::nullopt;
}

Result convert(tile::PointwiseKernelAttr kernel, tile::TargetAttr) {
  auto kind = kindOf(kernel.getKind());
  auto function = functionOf(kernel.getActivation());
  if (!kind || !function)
    return std::nullopt;
  return Pointwise{*kind, *function, kernel.getChannels(), kernel.getGroup(), kernel.getConstant().value};
}

// Heads that turn as a whole.
Result convert(tile::RopeAttr rope, tile::TargetAttr) {
  if (rope.getRotary().getDim() != rope.getHeadDim())
    return std::nullopt;
  return Rope{rope.getChannels(), rope.getHeadDim(), rope.getRotary().getStyle() == llm::RotaryStyle::interleaved};
}

// f32 and bf16 (inputs in pairs) with rows of f32, and Q8_0 with rows of int8.
Result convert(tile::ProductAttr product, tile::TargetAttr target) {
  Product result;
  result.inputs = product.getInputs();
  result.single = product.getSingle();
  bool int8 = product.getArithmetic() == tile::Arithmetic::int8, f32 = product.getArithmetic() == tile::Arithmetic::f32;
  int64_t bits = target.getVectorBits();
  result.rows = bits >= 512 ? 8 : bits >= 256 ? (int8 ? 2 : 6) : 2;
  if (product.getFormat() == llm::Format::f32 && f32) {
    result.weights = Product::Weights::F32;
    return result;
  }
  if (product.getFormat() == llm::Format::bf16 && f32 && result.inputs % 2 == 0) {
    result.weights = Product::Weights::Bf16;
    return result;
  }
  bool halves = target.getDot() != tile::Dot::portable; // else Halide would convert scales of f16 by a slow way
  if (product.getFormat() != llm::Format::q8_0 || !int8 || !halves)
    return std::nullopt;
  tile::PackedBlock layout = tile::packedBlock(product.getFormat());
  result.weights = Product::Weights::Q8_0;
  result.unsignedDot = target.getDot() == tile::Dot::vnni;
  result.blockBytes = layout.blockBytes();
  result.quantsOffset = layout.quantsOffset;
  result.rowBytes = tile::int8RowBytes(result.inputs);
  result.scalesOffset = tile::int8ScalesOffset(result.inputs);
  result.sumsOffset = tile::int8SumsOffset(result.inputs);
  return result;
}

std::string spelled(Pointwise::Kind kind) {
  constexpr const char *names[] = {"add", "copy", "scale", "softcap", "activation", "glu", "mul", "mix", "clamp"};
  return names[static_cast<int>(kind)];
}
std::string spelled(Pointwise::Function function) {
  constexpr const char *names[] = {"", "_relu", "_relu2", "_sigmoid", "_silu", "_tanh", "_gelu_tanh"};
  return names[static_cast<int>(function)];
}
std::string spelled(Product::Weights weights) {
  constexpr const char *names[] = {"f32", "bf16", "q8_0_int8"};
  return names[static_cast<int>(weights)];
}

Variant variant(const Norm &norm) { return {norm.gain ? norm.subtractMean ? "layer_norm" : "rms_norm" : "unit_norm", norm.group}; }
Variant variant(const Pointwise &kernel) {
  return {spelled(kernel.kind) + spelled(kernel.function) + (kernel.group > 1 ? "_groups" : ""), kernel.channels};
}
Variant variant(const Rope &rope) { return {rope.interleaved ? "rope_interleaved" : "rope_half", rope.channels}; }
Variant variant(const Product &product) { return {"product_" + spelled(product.weights) + (product.single ? "_single" : ""), product.inputs}; }

} // namespace

Result kernelOf(mlir::Attribute attribute, tile::TargetAttr target) {
  return llvm::TypeSwitch<mlir::Attribute, Result>(attribute)
      .Case<tile::NormAttr, tile::UnitNormAttr, tile::PointwiseKernelAttr, tile::RopeAttr, tile::ProductAttr>(
          [&](auto kind) { return convert(kind, target); })
      .Default([](mlir::Attribute) { return std::nullopt; });
}

Variant variantOf(const Kernel &kernel) {
  return std::visit([](const auto &each) { return variant(each); }, kernel);
}

bool isFaster(const Kernel &kernel, tile::TargetAttr target) {
  static constexpr struct {
    const char *target, *kind;
    int64_t from, to;
  } kFaster[] = {
#define LLMC_HALIDE_FASTER(target, kind, from, to) {target, kind, from, to},
#include "compiler/halide/KernelTable.inc"
#undef LLMC_HALIDE_FASTER
      {"", "", 0, 0},
  };
  auto [name, size] = variantOf(kernel);
  return llvm::any_of(kFaster, [&, &name = name, size = size](const auto &row) {
    return target.getName() == row.target && StringRef(name) == row.kind && row.from <= size && size <= row.to;
  });
}

} // namespace llmc::halide
