// RUN: llmc-opt %s --split-input-file --verify-diagnostics

// expected-error @+1 {{'llm.stored' must be f32, f16 or bf16, of matrices of one quantised format}}
llm.weight @float : !llm.weights<1x64x64xf16> from "float" {llm.stored = f32}

// -----

// expected-error @+1 {{'llm.stored' must be f32, f16 or bf16, of matrices of one quantised format}}
llm.weight @integer : !llm.weights<1x64x64x!llm.quant<q8_0>> from "integer" {llm.stored = i8}

// -----

// expected-error @+1 {{'llm.stored' must be f32, f16 or bf16, of matrices of one quantised format}}
llm.weight @text : !llm.weights<1x64x64x!llm.quant<q8_0>> from "text" {llm.stored = "f32"}

// -----

// expected-error @+1 {{rows of 64 can't be quantised in blocks of 256}}
llm.weight @odd : !llm.weights<1x64x64x!llm.quant<q4_k>> from "odd" {llm.stored = f32}

// -----

// expected-error @+1 {{'llm.moments' must be the name of a weight, beside 'llm.stored'}}
llm.weight @alone : !llm.weights<1x64x64xf32> from "alone" {llm.moments = "alone"}

// -----

// expected-error @+1 {{'llm.moments' must be the name of a weight, beside 'llm.stored'}}
llm.weight @number : !llm.weights<1x64x64x!llm.quant<q8_0>> from "number" {llm.moments = 3, llm.stored = f32}
