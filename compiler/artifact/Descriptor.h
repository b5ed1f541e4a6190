// The object that defines `llmc_model` (runtime/artifact/Artifact.h): tables, assets and the step functions of every target.
#pragma once

#include "compiler/artifact/WeightWriter.h"
#include "compiler/codegen/Target.h"

#include "llvm/IR/Module.h"

namespace llmc::artifact {

struct StepVersion {
  std::string symbol; // of the compiled function
  int64_t maxTokens = 0, arenaBytes = 0, scratchBytes = 0;
  int64_t bestRows = 0;
};

struct TargetSteps {
  codegen::Target target;
  std::vector<StepVersion> steps;    // ascending maxTokens
  std::vector<StepVersion> encoders; // of an encoder-decoder, likewise
};

// Code for a GPU. The kernel of step `symbol` has that name, those of its phases `symbol`_phase_0, …; `symbol`_launches is a function of the host.
struct GpuCode {
  codegen::Target target;
  std::string ptx;
  std::string cubin; // empty: there was no ptxas
  int64_t sharedBytes = 0;
  std::vector<StepVersion> steps;
  std::vector<int64_t> phases; // of each step, how many
};

struct State {
  std::string name;
  int64_t layers = 0, bytesPerPosition = 0, fixedBytes = 0; // of one layer
};

struct Description {
  std::string metadata; // JSON
  int64_t vocab = 0, hidden = 0, context = 0;
  std::vector<TargetSteps> targets; // best first
  std::vector<GpuCode> gpus;        // best first
  PackedWeights weights;
  std::string weightFile; // empty when embedded
  std::vector<State> states;
  std::vector<std::pair<std::string, std::string>> assets; // name, contents
  int64_t traits = 0; // enum llmc_traits
};

std::unique_ptr<llvm::Module> describe(const Description &description, llvm::LLVMContext &context);

} // namespace llmc::artifact
