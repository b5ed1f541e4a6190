// Builds a tokenizer from the texts of a Hugging Face directory's files. Internal to runtime/tokenizer, its tests and
// its fuzzer.
#pragma once

#include "runtime/tokenizer/SpecialIds.h"
#include "runtime/tokenizer/Tokenizer.h"

namespace llmc {

// Errors: Unsupported, naming the component; InvalidInput.
Expected<Tokenizer> tokenizerFromJson(std::string_view json, const CompanionFiles &files = {});
// `model`: the bytes of a tokenizer.model. Alone it does what SentencePiece does; with a tokenizer_config.json beside,
// its control pieces and the tokens that the files add are special tokens, as in transformers.
Expected<Tokenizer> tokenizerFromSentencePiece(std::string_view model, const CompanionFiles &files = {});

} // namespace llmc
