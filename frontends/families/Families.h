// The rows of all families, one file each (near relatives share one).
#pragma once

#include "frontends/Family.h"

namespace llmc::frontends {

extern const Family bart;                  // Bart.cpp
extern const Family bert, electra, ernie, roberta; // Bert.cpp
extern const Family distilBert;            // DistilBert.cpp
extern const Family modernBert;            // ModernBert.cpp
extern const Family t5;                    // T5.cpp
extern const Family bloom;                 // Bloom.cpp
extern const Family cohere;                // Cohere.cpp
extern const Family falcon;                // Falcon.cpp
extern const Family gemma, gemma2;         // Gemma.cpp
extern const Family gptJ;                  // GPTJ.cpp
extern const Family gptNeo;                // GPTNeo.cpp
extern const Family gptNeoX;               // GPTNeoX.cpp
extern const Family granite;               // Granite.cpp
extern const Family llama, mistral, qwen2; // Llama.cpp
extern const Family mpt;                   // MPT.cpp
extern const Family olmo, olmo2;           // OLMo.cpp
extern const Family opt;                   // OPT.cpp
extern const Family phi, phi3;             // Phi.cpp
extern const Family smolLM3;               // SmolLM3.cpp
extern const Family stableLM;              // StableLM.cpp
extern const Family starCoder2;            // StarCoder2.cpp
extern const Family gemma3;                // Gemma3.cpp
extern const Family qwen3;                 // Qwen3.cpp
extern const Family gpt2;                  // GPT2.cpp
extern const Family mixtral;               // Mixtral.cpp
extern const Family qwen2Moe, qwen3Moe;    // QwenMoe.cpp
extern const Family olmoe;                 // Olmoe.cpp
extern const Family gptOss;                // GptOss.cpp
extern const Family deepseekV2, deepseekV3; // DeepSeek.cpp
extern const Family bamba;                 // Bamba.cpp
extern const Family graniteHybrid;         // GraniteHybrid.cpp
extern const Family jamba;                 // Jamba.cpp
extern const Family lfm2;                  // LFM2.cpp
extern const Family mamba1, falconMamba, mamba2Alone; // Mamba.cpp
extern const Family nemotronH;             // NemotronH.cpp
extern const Family qwen3Next;             // Qwen3Next.cpp
extern const Family recurrentGemma;        // RecurrentGemma.cpp
extern const Family rwkv;                  // RWKV.cpp
extern const Family zamba2;                // Zamba2.cpp

} // namespace llmc::frontends
