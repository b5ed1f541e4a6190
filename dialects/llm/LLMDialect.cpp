#include "dialects/llm/LLM.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;
using namespace llmc::llm;

#include "dialects/llm/LLMDialect.cpp.inc"
#include "dialects/llm/LLMEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/llm/LLMAttributes.cpp.inc"

//===----------------------------------------------------------------------===//
// rope_scaling<yarn, factor = 4.0, …>: parameters that keep their default are not printed.
//===----------------------------------------------------------------------===//

namespace {
struct RopeScalingFields {
  RopeScalingKind kind = RopeScalingKind::none;
  Real factor = 1.0, low = 0.0, high = 0.0, betaFast = 32.0, betaSlow = 1.0, attention = 1.0;
  int64_t original = 0;
  bool truncate = true;
  SmallVector<Real> shortFactors, longFactors;

  static ParseResult parseReal(AsmParser &parser, Real &to) {
    FailureOr<Real> value = FieldParser<Real>::parse(parser);
    if (failed(value))
      return failure();
    to = *value;
    return success();
  }

  static ParseResult parseReals(AsmParser &parser, SmallVector<Real> &to) {
    return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                          [&] { return parseReal(parser, to.emplace_back()); });
  }

  static ParseResult parseBool(AsmParser &parser, bool &to) {
    StringRef word;
    if (parser.parseKeyword(&word))
      return failure();
    to = word == "true";
    return success(to || word == "false");
  }

  ParseResult parseField(AsmParser &parser) {
    StringRef name;
    SMLoc where = parser.getCurrentLocation();
    if (parser.parseKeyword(&name) || parser.parseEqual())
      return failure();
    Real *real = llvm::StringSwitch<Real *>(name)
                     .Case("factor", &factor)
                     .Case("low_freq_factor", &low)
                     .Case("high_freq_factor", &high)
                     .Case("beta_fast", &betaFast)
                     .Case("beta_slow", &betaSlow)
                     .Case("attention_factor", &attention)
                     .Default(nullptr);
    if (real)
      return parseReal(parser, *real);
    if (name == "original_max_positions")
      return parser.parseInteger(original);
    if (name == "truncate")
      return parseBool(parser, truncate);
    if (name == "short_factors")
      return parseReals(parser, shortFactors);
    if (name == "long_factors")
      return parseReals(parser, longFactors);
    return parser.emitError(where, "unknown rope_scaling parameter '") << name << "'";
  }
};
} // namespace

Attribute RopeScalingAttr::parse(AsmParser &parser, Type) {
  RopeScalingFields f;
  StringRef kind;
  SMLoc where = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseKeyword(&kind))
    return {};
  std::optional<RopeScalingKind> known = symbolizeRopeScalingKind(kind);
  if (!known) {
    parser.emitError(where, "unknown rope scaling '") << kind << "'";
    return {};
  }
  f.kind = *known;
  while (succeeded(parser.parseOptionalComma()))
    if (f.parseField(parser))
      return {};
  if (parser.parseGreater())
    return {};
  return get(parser.getContext(), f.kind, f.factor, f.low, f.high, f.original, f.betaFast, f.betaSlow, f.attention,
             f.truncate, f.shortFactors, f.longFactors);
}

void RopeScalingAttr::print(AsmPrinter &p) const {
  const RopeScalingFields unset;
  auto real = [&](StringRef name, Real value, Real byDefault) {
    if (!(value == byDefault))
      p << ", " << name << " = " << value;
  };
  auto reals = [&](StringRef name, ArrayRef<Real> values) {
    if (values.empty())
      return;
    p << ", " << name << " = [";
    llvm::interleaveComma(values, p.getStream(), [&](Real value) { p << value; });
    p << ']';
  };
  p << '<' << stringifyRopeScalingKind(getKind());
  real("factor", getFactor(), unset.factor);
  real("low_freq_factor", getLowFreqFactor(), unset.low);
  real("high_freq_factor", getHighFreqFactor(), unset.high);
  if (getOriginalMaxPositions() != unset.original)
    p << ", original_max_positions = " << getOriginalMaxPositions();
  real("beta_fast", getBetaFast(), unset.betaFast);
  real("beta_slow", getBetaSlow(), unset.betaSlow);
  real("attention_factor", getAttentionFactor(), unset.attention);
  if (!getTruncate())
    p << ", truncate = false";
  reals("short_factors", getShortFactors());
  reals("long_factors", getLongFactors());
  p << '>';
}

//===----------------------------------------------------------------------===//
// norm, rotary
//===----------------------------------------------------------------------===//

LogicalResult NormAttr::verify(function_ref<InFlightDiagnostic()> emitError, NormKind, Real eps, Real offset) {
  if (!std::isfinite(eps) || !(eps > 0) || !std::isfinite(offset))
    return emitError() << "norm needs a positive eps and a finite offset";
  return success();
}

LogicalResult RotaryAttr::verify(function_ref<InFlightDiagnostic()> emitError, RotaryStyle, int64_t dim) {
  if (dim < 1 || dim % 2)
    return emitError() << "rotary dim must be even and positive, got " << dim;
  return success();
}

void LLMDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/llm/LLMAttributes.cpp.inc"
      >();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/llm/LLMOps.cpp.inc"
      >();
}
