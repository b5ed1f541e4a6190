#include "passes/lowering/kernels/Kernels.h"

#include "dialects/llm/CacheLayout.h"
#include "passes/lowering/kernels/Emitters.h"
#include "passes/lowering/kernels/block/BlockKernels.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace llmc::kernels {
namespace {

LogicalResult checkInputs(func::FuncOp function, llm::Format format, int64_t inputs) {
  int64_t multiple = llm::isQuantised(format) ? tile::packedBlock(format).inputs : 1;
  if (inputs > 0 && inputs <= (int64_t(1) << 24) && inputs % multiple == 0)
    return success();
  return function.emitOpError() << "kernel of " << llm::stringifyFormat(format) << ": want a positive multiple of " << multiple
                                << " inputs, at most 2^24, got " << inputs;
}

LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::TiledProductAttr product) {
  if (failed(checkInputs(function, product.getFormat(), product.getInputs())))
    return failure();
  if (!b.target.hasTiles())
    return function.emitOpError() << "tiled_product: want a target with tiles, got " << b.target;
  if (product.getFormat() == llm::Format::f32)
    return function.emitOpError() << "tiled_product: want bf16, f16 or quantised weights, got f32";
  if (product.getMost() < 1)
    return function.emitOpError() << "tiled_product: want at least one panel, got " << product.getMost();
  return emitTiledProduct(b, product), success();
}

LogicalResult checkBf16Target(KernelBuilder &b, func::FuncOp function) {
  if (b.target.getBf16())
    return success();
  return function.emitOpError() << "bf16 arithmetic: want a target with bf16 dot products, got " << b.target;
}

LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::ProductAttr product) {
  llm::Format format = product.getFormat();
  if (failed(checkInputs(function, format, product.getInputs())))
    return failure();
  switch (product.getArithmetic()) {
  case tile::Arithmetic::f32:
    return emitFloatProduct(b, product), success();
  case tile::Arithmetic::int8:
    if (!llm::isQuantised(format))
      return function.emitOpError() << "int8 arithmetic: want quantised weights, got " << llm::stringifyFormat(format);
    return emitInt8Product(b, product), success();
  case tile::Arithmetic::bf16:
    if (format != llm::Format::bf16 && format != llm::Format::f16)
      return function.emitOpError() << "bf16 arithmetic: want bf16 or f16 weights, got " << llm::stringifyFormat(format);
    if (failed(checkBf16Target(b, function)))
      return failure();
    return emitBf16Product(b, product), success();
  }
}

LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::QuantizeAttr quantize) {
  int64_t inputs = quantize.getInputs();
  switch (quantize.getArithmetic()) {
  case tile::Arithmetic::f32:
    return function.emitOpError() << "quantize: want int8 or bf16 arithmetic, got f32";
  case tile::Arithmetic::int8:
    if (inputs <= 0 || inputs % tile::kActivationGroup)
      return function.emitOpError() << "quantize: want a positive multiple of 32 inputs, got " << inputs;
    break;
  case tile::Arithmetic::bf16:
    if (inputs <= 0)
      return function.emitOpError() << "quantize: want inputs, got " << inputs;
    if (failed(checkBf16Target(b, function)))
      return failure();
    break;
  }
  return emitQuantize(b, quantize), success();
}

LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::DecodeRowAttr decode) {
  if (failed(checkInputs(function, decode.getFormat(), decode.getInputs())))
    return failure();
  emitDecodeRow(b, decode);
  return success();
}

// The other kinds take whatever their attribute says.
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::NormAttr norm) { return emitNorm(b, norm), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::PointwiseKernelAttr kernel) { return emitPointwise(b, kernel), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::UnitNormAttr norm) { return emitUnitNorm(b, norm), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::RopeTableAttr table) { return emitRopeTable(b, table), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::RopeAttr rope) { return emitRope(b, rope), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::PrepareAttr prepare) { return emitPrepare(b, prepare), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::AttendAttr attend) { return emitAttend(b, attend), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::RelativeBiasAttr bias) { return emitRelativeBias(b, bias), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::AttendRunsAttr attend) {
  if (failed(checkBf16Target(b, function)))
    return failure();
  if (attend.getHeadDim() <= 0 || attend.getHeadDim() % 16)
    return function.emitOpError() << "attend_runs: want heads of a positive multiple of 16 channels, got " << attend.getHeadDim();
  bool isQ8 = llm::isQ8Cache(attend.getElement());
  if (!attend.getElement().isF16() && !isQ8)
    return function.emitOpError() << "attend_runs: want a cache of f16 or !llm.quant<q8_0>, got " << attend.getElement();
  if (isQ8 && b.target.getDot() != tile::Dot::vnni)
    return function.emitOpError() << "attend_runs: a cache of !llm.quant<q8_0> wants a target with dot = vnni";
  return emitAttendRuns(b, attend), success();
}
LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::MergePartsAttr merge) {
  if (failed(checkBf16Target(b, function)))
    return failure();
  return emitMergeParts(b, merge), success();
}
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::LatentPrepareAttr prepare) { return emitLatentPrepare(b, prepare), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::LatentAttendAttr attend) { return emitLatentAttend(b, attend), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::RouteAttr route) { return emitRoute(b, route), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::GroupTokensAttr group) { return emitGroupTokens(b, group), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::CombineAttr combine) { return emitCombine(b, combine), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp, tile::ShiftAttr shift) { return emitShift(b, shift), success(); }
LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::ConvAttr conv) {
  if (llm::isQuantised(conv.getFormat()))
    return function.emitOpError() << "conv: want float weights, got " << llm::stringifyFormat(conv.getFormat());
  return emitConv(b, conv), success();
}
LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::ScanAttr scan) {
  if (llm::isQuantised(scan.getFormat()))
    return function.emitOpError() << "scan: want float weights, got " << llm::stringifyFormat(scan.getFormat());
  return emitScan(b, scan), success();
}
LogicalResult checkChunk(func::FuncOp function, int64_t chunk) {
  if (chunk >= 16 && chunk <= 1024 && chunk % 16 == 0)
    return success();
  return function.emitOpError() << "chunk: want a multiple of 16 up to 1024, got " << chunk;
}
LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::ChunkScoresAttr scores) {
  if (failed(checkChunk(function, scores.getChunk())))
    return failure();
  return emitChunkScores(b, scores), success();
}
LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::ChunkScanAttr kernel) {
  if (failed(checkChunk(function, kernel.getChunk())))
    return failure();
  if (kernel.getScan().getKind() != llm::ScanKind::scalar || kernel.getScan().getWidth() % 16)
    return function.emitOpError() << "chunk_scan: want heads of a multiple of 16 channels in a scalar scan";
  return emitChunkScan(b, kernel), success();
}
LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::LinearAttr linear) {
  bool ofLogits = linear.getScale().value != 0 || linear.getSoftcap().value != 0 || linear.getResults() != tile::Results::rows;
  if (ofLogits && (linear.getWeights().size() != 1 || linear.getResidual()))
    return function.emitOpError() << "linear: scale, softcap and results want one weight and no residual";
  return emitLinear(b, linear), success();
}
LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::AheadAttr) {
  return function.emitOpError() << "ahead: want a target with blocks of threads, got " << b.target;
}
LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::BestPanelsAttr kernel) {
  if (kernel.getOutputs() < 1)
    return function.emitOpError() << "best_panels: want outputs, got " << kernel.getOutputs();
  return emitBestPanels(b, kernel), success();
}

// Arguments of a kernel, as its attribute's description lists them. 'p': pointer, 'i': i64.
std::string arguments(tile::ProductAttr) { return "ppipp"; }
std::string arguments(tile::TiledProductAttr) { return "pipipp"; }
std::string arguments(tile::QuantizeAttr) { return "pp"; }
std::string arguments(tile::DecodeRowAttr) { return "pip"; }
std::string arguments(tile::NormAttr norm) { return norm.getBias() ? "pppp" : "ppp"; }
std::string arguments(tile::PointwiseKernelAttr kernel) { return std::string(size_t(kernel.getInputs()) + 1, 'p'); }
std::string arguments(tile::UnitNormAttr) { return "pp"; }
std::string arguments(tile::RopeTableAttr table) { return table.getFactors() ? "iipp" : "iip"; }
std::string arguments(tile::RopeAttr) { return "ppp"; }
std::string arguments(tile::PrepareAttr prepare) {
  return std::string("iipppp") + (prepare.getRotary() ? "p" : "") + (prepare.getNorm() ? "pp" : "");
}
std::string arguments(tile::AttendAttr attend) {
  return std::string("iipppp") + (attend.getSinks() ? "p" : "") + (attend.getSlopes() ? "p" : "") + (attend.getReach() ? "p" : "") +
         (attend.getMask() == llm::Mask::full ? "i" : "");
}
std::string arguments(tile::RelativeBiasAttr) { return "iipp"; }
std::string arguments(tile::AttendRunsAttr attend) {
  return std::string("iippppppp") + (attend.getSinks() && !attend.getPartial() ? "p" : "") + (attend.getSlopes() ? "p" : "");
}
std::string arguments(tile::MergePartsAttr merge) { return merge.getSinks() ? "ippp" : "ipp"; }
std::string arguments(tile::LatentPrepareAttr) { return "iippppppp"; }
std::string arguments(tile::LatentAttendAttr) { return "iipppp"; }
std::string arguments(tile::RouteAttr route) { return route.getBias() ? "pppp" : "ppp"; }
std::string arguments(tile::GroupTokensAttr) { return "ipppp"; }
std::string arguments(tile::CombineAttr combine) { return combine.getPlaces() ? "pppp" : "ppp"; }
std::string arguments(tile::ConvAttr conv) { return conv.getBias() ? "iipppppppp" : "iippppppp"; }
std::string arguments(tile::ShiftAttr) { return "iipppppp"; }
std::string arguments(tile::ScanAttr scan) {
  size_t present = scan.getSkip();
  for (int64_t bytes : {scan.getStepBytes(), scan.getInputBytes(), scan.getOutputBytes(), scan.getBetaBytes()})
    present += bytes != 0;
  return "iipppp" + std::string(present, 'p') + "pppp";
}
std::string arguments(tile::ChunkScoresAttr) { return "iipppppppp"; }
std::string arguments(tile::ChunkScanAttr kernel) { return arguments(kernel.getScan()) + "ppp"; }
std::string arguments(tile::BestPanelsAttr) { return "ippp"; }
std::string arguments(tile::LinearAttr linear) {
  size_t weights = linear.getWeights().size();
  return "iipp" + std::string(weights, 'p') + std::string(weights, 'i') + std::string(linear.getBias() ? weights : 0, 'p') +
         (linear.getResidual() ? "p" : "") + std::string(linear.getGlu() ? 1 : weights, 'p');
}
std::string arguments(tile::AheadAttr ahead) { return arguments(ahead.getLinear()); }

struct Kind {
  TypeID attribute;
  bool inPlace; // an output may be an input
  std::string (*arguments)(Attribute);
  LogicalResult (*emit)(KernelBuilder &, func::FuncOp, Attribute);
};

template <class Attr> Kind kind(bool inPlace = false) {
  return {TypeID::get<Attr>(), inPlace, [](Attribute attribute) { return arguments(cast<Attr>(attribute)); },
          [](KernelBuilder &b, func::FuncOp function, Attribute attribute) {
            return emit(b, function, cast<Attr>(attribute));
          }};
}

// Every kind of kernel there is.
ArrayRef<Kind> kinds() {
  constexpr bool inPlace = true;
  static const Kind table[] = {
      kind<tile::ProductAttr>(),          kind<tile::TiledProductAttr>(),
      kind<tile::QuantizeAttr>(),
      kind<tile::DecodeRowAttr>(),        kind<tile::NormAttr>(inPlace),
      kind<tile::PointwiseKernelAttr>(inPlace), kind<tile::RopeTableAttr>(),
      kind<tile::RopeAttr>(inPlace),      kind<tile::PrepareAttr>(inPlace),
      kind<tile::RelativeBiasAttr>(),
      kind<tile::AttendAttr>(),           kind<tile::LinearAttr>(inPlace),
      kind<tile::AttendRunsAttr>(inPlace), kind<tile::MergePartsAttr>(), // `first` and `second` reach the same state
      kind<tile::RouteAttr>(),            kind<tile::GroupTokensAttr>(),
      kind<tile::CombineAttr>(),
      kind<tile::UnitNormAttr>(inPlace),  kind<tile::ConvAttr>(inPlace), // likewise
      kind<tile::ShiftAttr>(inPlace),     kind<tile::ScanAttr>(inPlace),
      kind<tile::ChunkScoresAttr>(inPlace), kind<tile::ChunkScanAttr>(inPlace),
      kind<tile::LatentPrepareAttr>(inPlace), kind<tile::LatentAttendAttr>(),
      kind<tile::BestPanelsAttr>(),       kind<tile::AheadAttr>(),
  };
  return table;
}

bool argumentsMatch(func::FuncOp function, StringRef wanted) {
  FunctionType type = function.getFunctionType();
  auto matches = [](Type type, char letter) {
    return letter == 'p' ? isa<LLVM::LLVMPointerType>(type) : type.isSignlessInteger(64);
  };
  return type.getNumResults() == 0 && type.getNumInputs() == wanted.size() &&
         llvm::all_of_zip(type.getInputs(), wanted, matches);
}

// But for kernels that work in place, operands never overlap: what one worker writes nobody else touches.
void markNoAlias(func::FuncOp function) {
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (isa<LLVM::LLVMPointerType>(function.getArgument(i).getType()))
      function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), UnitAttr::get(function.getContext()));
}

LogicalResult emitFor(func::FuncOp function, const Kind &kind, Attribute attribute, tile::TargetAttr target) {
  KernelBuilder builder(function, target);
  if (failed(kind.emit(builder, function, attribute)))
    return failure();
  func::ReturnOp::create(builder);
  if (!kind.inPlace)
    markNoAlias(function);
  return success();
}

// Called by the one thread that runs a whole linear: no kernel of a step.
bool isPartOfLinear(Attribute kernel) { return isa<tile::ProductAttr, tile::TiledProductAttr>(kernel); }

// By a block of threads; where nobody has written that, by its first, as a CPU without any special instructions would.
LogicalResult emitForDevice(func::FuncOp function, const Kind &kind, Attribute attribute, tile::TargetAttr target) {
  auto oneThread = tile::TargetAttr::get(function.getContext(), target.getName(), target.getVectorBits(), tile::Dot::portable);
  if (isPartOfLinear(attribute))
    return emitFor(function, kind, attribute, oneThread);
  const BlockKind *block = findBlockKind(attribute, target);
  func::FuncOp alone;
  if (!block) {
    OpBuilder b(function);
    alone = func::FuncOp::create(b, function.getLoc(), (function.getName() + "_alone").str(), function.getFunctionType());
    alone.setPrivate();
    alone->setAttr("passthrough", b.getStrArrayAttr({"noinline"})); // its registers, and what it spills, are its own
    if (failed(emitFor(alone, kind, attribute, oneThread)))
      return failure();
  }
  BlockBuilder builder(function, target);
  if (block)
    block->emit(builder, attribute);
  else
    builder.onThread(0, [&] { func::CallOp::create(builder, alone, function.getArguments()); });
  builder.finish();
  return success();
}

} // namespace

void insertKernelDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect, math::MathDialect, scf::SCFDialect,
                  vector::VectorDialect>();
}

LogicalResult emitKernel(func::FuncOp declaration, tile::TargetAttr target) {
  Attribute attribute = declaration->getAttr(kKernelAttr);
  const Kind *kind = attribute ? llvm::find_if(kinds(), [&](const Kind &kind) { return kind.attribute == attribute.getTypeID(); })
                               : kinds().end();
  if (kind == kinds().end())
    return declaration.emitOpError() << "want a known kernel in '" << kKernelAttr << "', got " << attribute;
  std::string arguments = kind->arguments(attribute);
  if (!declaration.isExternal() || !argumentsMatch(declaration, arguments))
    return declaration.emitOpError() << "kernel " << attribute << ": want a declaration whose arguments are '"
                                     << arguments << "' (p: !llvm.ptr, i: i64), got " << declaration.getFunctionType();
  return target.isDevice() ? emitForDevice(declaration, *kind, attribute, target) : emitFor(declaration, *kind, attribute, target);
}

int64_t productScratchBytes(tile::ProductAttr product) {
  if (product.getSingle())
    return 0;
  switch (product.getArithmetic()) {
  case tile::Arithmetic::f32:
    return floatProductScratchBytes(product);
  case tile::Arithmetic::int8:
    return int8ProductScratchBytes(product);
  case tile::Arithmetic::bf16:
    return bf16ProductScratchBytes(product);
  }
}

} // namespace llmc::kernels
