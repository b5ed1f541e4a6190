"""Makes a random-weight transformers checkpoint of a row's shape and exports it to OpenVINO. Runs under OpenVINO's Python.

    openvino_export.py PRESET int4|int8 FOLDER
"""
import os
import shutil
import subprocess
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast, Qwen2Config

CONFIGS = {
    "llama-3.2-1b": LlamaConfig(
        hidden_size=2048, num_hidden_layers=16, vocab_size=128256, num_attention_heads=32, num_key_value_heads=8, head_dim=64,
        intermediate_size=8192, max_position_embeddings=131072, tie_word_embeddings=True, rms_norm_eps=1e-5),
    "qwen2.5-0.5b": Qwen2Config(
        hidden_size=896, num_hidden_layers=24, vocab_size=151936, num_attention_heads=14, num_key_value_heads=2, intermediate_size=4864,
        max_position_embeddings=32768, tie_word_embeddings=True, rms_norm_eps=1e-6),
}
FORMATS = {"int4": ["--weight-format", "int4", "--group-size", "128", "--sym"], "int8": ["--weight-format", "int8"]}


def save_checkpoint(preset, folder):
    torch.manual_seed(1)
    config = CONFIGS[preset]
    config.bos_token_id, config.eos_token_id = 0, 1
    torch.set_default_dtype(torch.bfloat16)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = {token: i for i, token in enumerate(["<bos>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=tokens, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>").save_pretrained(folder)


def main(preset, weights, folder):
    checkpoint = folder + ".checkpoint"
    shutil.rmtree(checkpoint, ignore_errors=True)
    save_checkpoint(preset, checkpoint)
    try:
        command = [os.path.join(os.path.dirname(sys.executable), "optimum-cli"), "export", "openvino", "-m", checkpoint, "--task",
                   "text-generation-with-past", *FORMATS[weights], folder]
        subprocess.run(command, check=True)
    finally:
        shutil.rmtree(checkpoint, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
