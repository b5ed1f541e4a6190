// mlir-opt with the dialects and passes of this project; loads pass plug-ins as mlir-opt does.
#include "compiler/Registration.h"
#include "passes/support/Statistic.h"

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Support/LogicalResult.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  llmc::registerAllPasses();
  mlir::DialectRegistry registry;
  llmc::registerAllDialects(registry);
  llvm::LogicalResult result =
      mlir::MlirOptMain(argc, argv, "llmc-opt: passes of the language-model compiler\n", registry);
  llmc::reportStatistics(argc, argv);
  return mlir::asMainReturnCode(result);
}
