#include "compiler/Registration.h"

#include "compiler/Registered.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"

void llmc::registerAllDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllToLLVMIRTranslations(registry);
  registered::insertDialects(registry);
}

void llmc::registerAllPasses() {
  mlir::registerAllPasses();
  registered::registerPhases();
}
