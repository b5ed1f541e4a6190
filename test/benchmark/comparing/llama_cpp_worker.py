"""llama.cpp through its C API, flash attention and everything else as by default."""
import ctypes
import importlib.metadata
import time

import llama_cpp as api

from worker import serve, some_tokens


class LlamaCpp:
    def __init__(self, options):
        self.version = "llama-cpp-python " + importlib.metadata.version("llama-cpp-python")
        self.log = api.llama_log_callback(lambda *_: None)
        api.llama_log_set(self.log, ctypes.c_void_p(0))
        api.llama_backend_init()
        self.model = api.llama_model_load_from_file(options["model"].encode(), api.llama_model_default_params())
        if not self.model:
            raise RuntimeError(f"{options['model']}: llama.cpp does not load it")
        self.vocab = api.llama_vocab_n_tokens(api.llama_model_get_vocab(self.model))
        self.threads, self.contexts = options["threads"], {}
        self.batch = api.llama_batch_init(4096, 0, 1)

    def context(self, positions, sequences):
        """Contexts are made once for each shape of test, so that none pays for what another needs."""
        if (positions, sequences) not in self.contexts:
            params = api.llama_context_default_params()
            params.n_ctx, params.n_seq_max = positions * sequences, sequences
            params.n_batch, params.n_ubatch = 512, 512
            params.n_threads = params.n_threads_batch = self.threads
            context = api.llama_init_from_model(self.model, params)
            if not context:
                raise RuntimeError(f"llama.cpp makes no context of {positions} positions and {sequences} sequences")
            self.contexts[positions, sequences] = [context, []]
        return self.contexts[positions, sequences]

    def decode(self, context, entries):
        """`entries`: (token, position, sequence, whether its logits are wanted)."""
        self.batch.n_tokens = len(entries)
        for i, (token, position, sequence, wanted) in enumerate(entries):
            self.batch.token[i], self.batch.pos[i], self.batch.n_seq_id[i] = token, position, 1
            self.batch.seq_id[i][0], self.batch.logits[i] = sequence, wanted
        if api.llama_decode(context, self.batch):
            raise RuntimeError("llama_decode failed")

    def read(self, context, tokens):
        for begin in range(0, len(tokens), 512):
            piece = tokens[begin:begin + 512]
            self.decode(context, [(token, begin + i, 0, begin + i + 1 == len(tokens)) for i, token in enumerate(piece)])
        api.llama_synchronize(context)

    def seconds(self, question):
        count, depth, sequences = question["count"], question["depth"], question["sequences"]
        positions = -(-(count + depth) // 256) * 256
        entry = self.context(positions, sequences)
        context, memory = entry[0], api.llama_get_memory(entry[0])
        tokens = some_tokens(depth + count * sequences, self.vocab)
        if depth and entry[1] == tokens[:depth] and api.llama_memory_seq_rm(memory, 0, depth, -1):
            pass   # read once; later runs go back to where it ended
        else:
            api.llama_memory_clear(memory, True)
            if depth:
                self.read(context, tokens[:depth])
            entry[1] = tokens[:depth]
        begin = time.perf_counter()
        if question["prefill"]:
            self.read(context, tokens[:count])
        else:
            for i in range(count):
                step = tokens[depth + i * sequences:]
                self.decode(context, [(step[s], depth + i, s, True) for s in range(sequences)])
            api.llama_synchronize(context)
        return time.perf_counter() - begin


if __name__ == "__main__":
    serve(LlamaCpp, ["deep", "many"])
