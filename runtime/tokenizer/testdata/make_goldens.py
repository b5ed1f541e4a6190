#!/usr/bin/env python3
"""Writes goldens.json: small tokenizers of many kinds and what Hugging Face `tokenizers` makes of nasty strings.

    pip install tokenizers sentencepiece numpy protobuf; PYTHONPATH=../../../test/conformance make_goldens.py > goldens.json

{"strings": [...], "tokenizers": [{"name", "json", "ids": [[...]], "plain": [[...]], "decoded": [...]}]}: ids with the
post-processor's special tokens, ids without them, and the text of the latter; one entry per string.
"sentencepiece": [{"name", "model", "plain", "decoded"}]: the bytes of a .model file in hexadecimal, and what SentencePiece makes of the strings.
"""
import json, sys
import sentencepiece
from tokenizers import Tokenizer
import hf_tok, tok_cases

KINDS = ("hf_gpt2 hf_neox hf_bloom hf_falcon hf_starcoder hf_llama3 hf_qwen2 hf_o200k hf_deepseek hf_llama2 hf_gemma "
         "added_gpt2 added_llama2 gpt2_prefix_space bytelevel_nfkc_lower pre_punct_next pre_split_invert pre_whitespace "
         "bpe_end_of_word bpe_continuing_prefix bpe_unk_fused metaspace_first llama2_metaspace_first "
         "wordpiece_replace_regex added_bert unigram_identity wordlevel post_template_multi pre_unicode_scripts").split()
# SentencePiece's own files; the reference is SentencePiece. Without compiled rules, which take 240 KiB.
SENTENCEPIECE_KINDS = {
    "sp_bpe_llama2": {}, "sp_bpe_gemma": {}, "sp_bpe_nobytes": dict(normalization_rule_name="identity"),
    "sp_unigram_bytes": dict(normalization_rule_name="identity"), "sp_unigram_suffix": dict(normalization_rule_name="identity"),
    "sp_unigram_noprefix_keepws": {}, "sp_char": dict(normalization_rule_name="identity"),
    "sp_word": dict(normalization_rule_name="identity")}


def compact(tokenizer):
    j = json.loads(tokenizer.to_str())
    model = j["model"]
    if "merges" in model: model["merges"] = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return j


strings = [s for s in tok_cases.HAND + tok_cases.SPECIAL_TEXT if len(s.encode()) <= 48]
strings = [s for i, s in enumerate(strings) if i % 3 == 0] + [s for s in tok_cases.strings(11) if s not in strings and len(s) < 60][:12]
out = []
for name in KINDS:
    t = tok_cases.JSON_KINDS[name]()
    j = compact(t)
    if name in ("hf_neox", "hf_bloom"):  # merges as pairs, the newer spelling
        j["model"]["merges"] = [m.split(" ") for m in j["model"]["merges"]]
    t = Tokenizer.from_str(json.dumps(j))
    ids = [t.encode(s).ids for s in strings]
    plain = [t.encode(s, add_special_tokens=False).ids for s in strings]
    decoded = [t.decode(p, skip_special_tokens=False) for p in plain]
    out.append(dict(name=name, json=j, ids=ids if ids != plain else None, plain=plain, decoded=[None if d == s else d for d, s in zip(decoded, strings)]))
strings = [s for s in strings if "\0" not in s]  # SentencePiece's Python ends a text there
models = []
for name, changes in SENTENCEPIECE_KINDS.items():
    options = tok_cases.SP_KINDS[name] | changes
    raw, model = hf_tok.charsmap(options.pop("normalization_rule_name", "nmt_nfkc"), **options)
    model.trainer_spec.ClearField("input")
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    plain = [sp.encode(s) for s in strings]
    models.append(dict(name=name, model=model.SerializeToString().hex(),
                       plain=plain, decoded=[sp.decode(p) for p in plain]))
json.dump(dict(strings=strings, tokenizers=out, sentencepiece=models), sys.stdout, ensure_ascii=False, separators=(",", ":"))
