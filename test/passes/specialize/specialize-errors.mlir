// RUN: llmc-opt %s --llm-specialize --split-input-file --verify-diagnostics
// RUN: not llmc-opt %s --llm-specialize="tokens=8,8" --split-input-file 2>&1 | FileCheck %s --check-prefix=EQUAL
// RUN: not llmc-opt %s --llm-specialize="tokens=0" --split-input-file 2>&1 | FileCheck %s --check-prefix=ZERO
// RUN: not llmc-opt %s --llm-specialize="tokens=1,65537" --split-input-file 2>&1 | FileCheck %s --check-prefix=MANY
// EQUAL: llm-specialize: tokens must ascend within 1 … 65536, got 8
// ZERO: llm-specialize: tokens must ascend within 1 … 65536, got 0
// MANY: llm-specialize: tokens must ascend within 1 … 65536, got 65537

func.func @step(%batch: !llm.batch) { return }

// -----

// expected-error @+1 {{llm-specialize: the module has no function @step}}
module {
  func.func @steps(%batch: !llm.batch) { return }
}
