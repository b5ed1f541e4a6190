"""llama.cpp's default against its float32: llama_cpp_kld.py MODEL.gguf FLOAT32.gguf TEXT WINDOW THREADS. Prints one JSON line.

Windows as `llmc eval kld` cuts them: one after another, the rest dropped, BOS in the first place, rows of the second half compared.
"""
import ctypes
import json
import sys

import llama_cpp as api
import numpy

ROWS = 16   # compared at a time: logits of a large vocabulary in float64 take memory


class Model:
    def __init__(self, path, window, threads, exact):
        self.model = api.llama_model_load_from_file(path.encode(), api.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"{path}: llama.cpp does not load it")
        self.vocab = api.llama_model_get_vocab(self.model)
        self.size = api.llama_vocab_n_tokens(self.vocab)
        params = api.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = window
        params.n_threads = params.n_threads_batch = threads
        if exact:
            params.type_k = params.type_v = api.GGML_TYPE_F32
            params.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = api.llama_init_from_model(self.model, params)
        if not self.context:
            raise SystemExit(f"{path}: llama.cpp makes no context of {window} positions")
        self.batch = api.llama_batch_init(window, 0, 1)

    def tokenize(self, text):
        ids = (api.llama_token * (len(text) + 8))()
        count = api.llama_tokenize(self.vocab, text, len(text), ids, len(ids), True, False)
        return list(ids[:count])

    def rows(self, window, first):
        """Logits after tokens first … of a window, but for the last one, which predicts nothing of it."""
        api.llama_memory_clear(api.llama_get_memory(self.context), True)
        self.batch.n_tokens = len(window)
        for i, token in enumerate(window):
            self.batch.token[i], self.batch.pos[i], self.batch.n_seq_id[i], self.batch.seq_id[i][0] = token, i, 1, 0
            self.batch.logits[i] = first <= i < len(window) - 1
        if api.llama_decode(self.context, self.batch):
            raise SystemExit("llama_decode failed")
        count = len(window) - 1 - first
        return numpy.ctypeslib.as_array(api.llama_get_logits(self.context), (count, self.size))


def log_softmax(rows):
    rows = rows.astype(numpy.float64)
    rows -= rows.max(axis=1, keepdims=True)
    return rows - numpy.log(numpy.exp(rows).sum(axis=1, keepdims=True))


def compare(reference, other, found):
    for begin in range(0, len(reference), ROWS):
        p, q = log_softmax(reference[begin:begin + ROWS]), log_softmax(other[begin:begin + ROWS])
        found["divergences"] += list(numpy.maximum((numpy.exp(p) * (p - q)).sum(axis=1), 0))
        found["agreed"] += int((p.argmax(axis=1) == q.argmax(axis=1)).sum())


def main(path, exact_path, text, window, threads):
    window, threads = int(window), int(threads)
    log = api.llama_log_callback(lambda *_: None)
    api.llama_log_set(log, ctypes.c_void_p(0))
    api.llama_backend_init()
    model, exact = Model(path, window, threads, False), Model(exact_path, window, threads, True)
    tokens = model.tokenize(open(text, "rb").read())
    bos = api.llama_vocab_bos(model.vocab) if api.llama_vocab_get_add_bos(model.vocab) else -1
    found = {"divergences": [], "agreed": 0}
    for begin in range(0, len(tokens) - window + 1, window):
        piece = tokens[begin:begin + window]
        piece[0] = bos if bos >= 0 else piece[0]
        compare(exact.rows(piece, window // 2), model.rows(piece, window // 2), found)
    if not found["divergences"]:
        raise SystemExit(f"{text}: has {len(tokens)} tokens, want at least {window}")
    all_of = numpy.sort(found["divergences"])
    print(json.dumps({"mean_kld": float(all_of.mean()), "p99_kld": float(all_of[int(0.99 * (len(all_of) - 1))]),
                      "top1_agreement": found["agreed"] / len(all_of), "tokens": len(all_of)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
