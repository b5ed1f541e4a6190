#include "dialects/tile/Tile.h"
#include "runtime/artifact/Artifact.h"

#include <cstddef>

using namespace mlir;
using namespace llmc;
using namespace llmc::tile;

static const StepField kStepFields[] = {
    {"tokens", offsetof(llmc_step, tokens), false},
    {"rows", offsetof(llmc_step, rows), false},
    {"token_ids", offsetof(llmc_step, token_ids), true},
    {"positions", offsetof(llmc_step, positions), true},
    {"slots", offsetof(llmc_step, slots), true},
    {"lengths", offsetof(llmc_step, lengths), true},
    {"row_tokens", offsetof(llmc_step, row_tokens), true},
    {"logits", offsetof(llmc_step, logits), true},
    {"hidden", offsetof(llmc_step, hidden), true},
    {"weights", offsetof(llmc_step, weights), true},
    {"states", offsetof(llmc_step, states), true},
    {"state_slot_bytes", offsetof(llmc_step, state_slot_bytes), true},
    {"state_layer_bytes", offsetof(llmc_step, state_layer_bytes), true},
    {"capacity", offsetof(llmc_step, capacity), false},
    {"arena", offsetof(llmc_step, arena), true},
    {"scratch", offsetof(llmc_step, scratch), true},
    {"team", offsetof(llmc_step, team), true},
    {"profile", offsetof(llmc_step, profile), true},
    {"best", offsetof(llmc_step, best), false},
    {"best_panels", offsetof(llmc_step, best_panels), true},
    {"best_logits", offsetof(llmc_step, best_logits), true},
    {"position_ids", offsetof(llmc_step, position_ids), true},
    {"token_types", offsetof(llmc_step, token_types), true},
    {"source_lengths", offsetof(llmc_step, source_lengths), true},
};

const StepField *llmc::tile::stepField(StringRef name) {
  for (const StepField &field : kStepFields)
    if (field.name == name)
      return &field;
  return nullptr;
}

LogicalResult FieldOp::verify() {
  const StepField *field = stepField(getName()); // field_c1
  if (!field)
    return emitOpError("no field '") << getName() << "' in llmc_step";
  Type type = getValue().getType();
  if (field->isPointer ? !isa<LLVM::LLVMPointerType>(type) : !type.isSignlessInteger(64))
    return emitOpError("field '") << getName() << "' is " << (field->isPointer ? "a pointer" : "an i64");
  return success();
}

#define GET_OP_CLASSES
#include "dialects/tile/TileOps.cpp.inc"
