#include "passes/lowering/kernels/Kernels.h"

#include "passes/lowering/kernels/Emitters.h"

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

LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::ProductAttr product) {
  bool int8 = product.getArithmetic() == tile::Arithmetic::int8;
  if (failed(checkInputs(function, product.getFormat(), product.getInputs())))
    return failure();
  if (int8 && !llm::isQuantised(product.getFormat()))
    return function.emitOpError() << "int8 arithmetic: want quantised weights, got "
                                  << llm::stringifyFormat(product.getFormat());
  int8 ? emitInt8Product(b, product) : emitFloatProduct(b, product);
  return success();
}

LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::QuantizeAttr quantize) {
  if (quantize.getInputs() <= 0 || quantize.getInputs() % tile::kActivationGroup)
    return function.emitOpError() << "quantize: want a positive multiple of 32 inputs, got " << quantize.getInputs();
  emitQuantize(b, quantize);
  return success();
}

LogicalResult emit(KernelBuilder &b, func::FuncOp function, tile::DecodeRowAttr decode) {
  if (failed(checkInputs(function, decode.getFormat(), decode.getInputs())))
    return failure();
  emitDecodeRow(b, decode);
  return success();
}

struct Kind {
  TypeID attribute;
  StringRef arguments; // 'p': pointer, 'i': i64
  LogicalResult (*emit)(KernelBuilder &, func::FuncOp, Attribute);
};

template <class Attr> Kind kind(StringRef arguments) {
  return {TypeID::get<Attr>(), arguments, [](KernelBuilder &b, func::FuncOp function, Attribute attribute) {
            return emit(b, function, cast<Attr>(attribute));
          }};
}

// Every kind of kernel there is.
ArrayRef<Kind> kinds() {
  static const Kind table[] = {
      kind<tile::ProductAttr>("ppipp"),
      kind<tile::QuantizeAttr>("pp"),
      kind<tile::DecodeRowAttr>("pip"),
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

// The operands of a kernel never overlap: what one worker writes nobody else touches.
void markNoAlias(func::FuncOp function) {
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (isa<LLVM::LLVMPointerType>(function.getArgument(i).getType()))
      function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), UnitAttr::get(function.getContext()));
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
  if (!declaration.isExternal() || !argumentsMatch(declaration, kind->arguments))
    return declaration.emitOpError() << "kernel " << attribute << ": want a declaration whose arguments are '"
                                     << kind->arguments << "' (p: !llvm.ptr, i: i64), got " << declaration.getFunctionType();
  KernelBuilder builder(declaration, target);
  if (failed(kind->emit(builder, declaration, attribute)))
    return failure();
  func::ReturnOp::create(builder);
  markNoAlias(declaration);
  return success();
}

int64_t productScratchBytes(tile::ProductAttr product) {
  if (product.getSingle())
    return 0;
  return product.getArithmetic() == tile::Arithmetic::int8 ? int8ProductScratchBytes(product) : floatProductScratchBytes(product);
}

} // namespace llmc::kernels
