#!/usr/bin/env python3
"""llmc and llama.cpp on one GGUF file, alternating, in one run: tokens per second and the ratio of each pair.

    paired_llama_cpp.py MODEL.gguf --llmc build/bin/llmc [--pairs 5] [-t 2] [-p 512] [-n 48]

Run it with a Python that has the peer, built for this machine by the same compiler as ours:

    CC=clang-22 CXX=clang++-22 CMAKE_ARGS=-DGGML_NATIVE=ON pip install llama-cpp-python

Prefill is one prompt of -p tokens, decode -n single tokens after an empty context; each pair runs llama.cpp, then llmc, with equal
ids and threads. Both have warmed up, so neither is measured on its first run. Prints each pair and the medians.
"""
import argparse
import ctypes
import json
import statistics
import subprocess
import time

import llama_cpp as peer


def some_tokens(count, vocab):
    """The ids that `llmc bench` takes."""
    ids, state = [], 1
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        ids.append((state >> 33) % vocab)
    return ids


class LlamaCpp:
    def __init__(self, path, threads, prompt, generated):
        self.log = peer.llama_log_callback(lambda *_: None)
        peer.llama_log_set(self.log, ctypes.c_void_p(0))
        peer.llama_backend_init()
        self.model = peer.llama_model_load_from_file(path.encode(), peer.llama_model_default_params())
        options = peer.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = max(prompt, generated) + 64, max(prompt, 512), 512
        options.n_threads = options.n_threads_batch = threads
        self.context = peer.llama_init_from_model(self.model, options)
        self.vocab = peer.llama_vocab_n_tokens(peer.llama_model_get_vocab(self.model))
        self.batch = peer.llama_batch_init(max(prompt, 1), 0, 1)

    def decode(self, tokens, position):
        self.batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            self.batch.token[i], self.batch.pos[i], self.batch.n_seq_id[i], self.batch.seq_id[i][0] = token, position + i, 1, 0
            self.batch.logits[i] = i + 1 == len(tokens)
        if peer.llama_decode(self.context, self.batch):
            raise RuntimeError("llama_decode failed")

    def clear(self):
        peer.llama_memory_clear(peer.llama_get_memory(self.context), True)

    def prefill(self, tokens):
        self.clear()
        begin = time.perf_counter()
        self.decode(tokens, 0)
        peer.llama_synchronize(self.context)
        return len(tokens) / (time.perf_counter() - begin)

    def generate(self, tokens):
        self.clear()
        begin = time.perf_counter()
        for i, token in enumerate(tokens):
            self.decode([token], i)
        peer.llama_synchronize(self.context)
        return len(tokens) / (time.perf_counter() - begin)


def ours(llmc, model, prompt, generated, threads):
    command = [llmc, "bench", model, "-p", str(prompt), "-n", str(generated), "-r", "1", "-t", str(threads), "-o", "json"]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [row["tokens_per_second"] for row in rows]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model")
    ap.add_argument("--llmc", required=True)
    ap.add_argument("--pairs", type=int, default=5)
    ap.add_argument("-t", "--threads", type=int, default=2)
    ap.add_argument("-p", "--n-prompt", type=int, default=512)
    ap.add_argument("-n", "--n-gen", type=int, default=48)
    a = ap.parse_args()
    other = LlamaCpp(a.model, a.threads, a.n_prompt, a.n_gen)
    prompt, text = some_tokens(a.n_prompt, other.vocab), some_tokens(a.n_gen, other.vocab)
    other.prefill(prompt), other.generate(text), ours(a.llmc, a.model, a.n_prompt, a.n_gen, a.threads)
    columns = {f"prefill {a.n_prompt}": [], f"decode {a.n_gen}": []}
    for pair in range(a.pairs):
        theirs = other.prefill(prompt), other.generate(text)
        mine = ours(a.llmc, a.model, a.n_prompt, a.n_gen, a.threads)
        for (name, pairs), their, my in zip(columns.items(), theirs, mine):
            pairs.append((my, their))
            print(f"pair {pair + 1}  {name:12} llmc {my:9.1f}  llama.cpp {their:9.1f}  ratio {my / their:.2f}", flush=True)
    for name, pairs in columns.items():
        my, their = (statistics.median(column) for column in zip(*pairs))
        ratio = statistics.median(m / t for m, t in pairs)
        print(f"median  {name:12} llmc {my:9.1f}  llama.cpp {their:9.1f}  ratio {ratio:.2f}   ({a.threads} threads, {a.pairs} pairs)")


if __name__ == "__main__":
    main()
