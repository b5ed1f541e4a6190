"""The C ABI of a compiled model from Python, as far as the end-to-end checks need it. Standard library and numpy."""
import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import numpy as np

WANT_NONE, WANT_LAST, WANT_ALL = 0, 1, 2
IGNORE_EOS, NO_PREFIX_REUSE, NO_LOGITS = 4, 16, 32
CANCELLED = 4

ROWS_FN = CFUNCTYPE(c_int32, c_void_p, c_int64, c_int64, POINTER(c_float), POINTER(c_float))
TOKEN_FN = CFUNCTYPE(c_int32, c_void_p, c_int32, POINTER(c_float), c_int64)


def struct(name, *fields):
    """A struct of llmc.h; its first member holds its size."""
    made = type(name, (Structure,), {"_fields_": [("struct_size", c_size_t), *fields]})
    made.new = classmethod(lambda cls, **values: cls(struct_size=ctypes.sizeof(cls), **values))
    return made


ModelInfo = struct("ModelInfo", ("vocab", c_int64), ("hidden", c_int64), ("context", c_int64), ("weight_bytes", c_int64),
                   ("max_step_tokens", c_int64), ("isa", c_char_p), ("library_path", c_char_p), ("weights_path", c_char_p),
                   ("has_tokenizer", c_int32))
ContextOptions = struct("ContextOptions", ("context", c_int64), ("slots", c_int64), ("threads", c_int32), ("checkpoints", c_int64))
ContextInfo = struct("ContextInfo", ("context", c_int64), ("slots", c_int64), ("threads", c_int32), ("checkpoints", c_int64))
EvalRequest = struct("EvalRequest", ("tokens", POINTER(c_int32)), ("count", c_int64), ("slots", POINTER(c_int32)), ("slot", c_int32),
                     ("want", c_int32), ("rows", c_void_p), ("row_count", c_int64), ("logits", POINTER(c_float)),
                     ("hidden", POINTER(c_float)), ("on_rows", ROWS_FN), ("user", c_void_p), ("best", c_int64),
                     ("best_logits", POINTER(c_float)), ("best_ids", POINTER(c_int32)))
GenerateOptions = struct("GenerateOptions", ("prompt", c_char_p), ("prompt_bytes", c_int64), ("tokens", POINTER(c_int32)),
                         ("token_count", c_int64), ("slot", c_int32), ("flags", c_uint32), ("max_tokens", c_int64), ("sampler", c_void_p),
                         ("stop", c_void_p), ("stop_count", c_int64), ("on_text", c_void_p), ("on_token", TOKEN_FN),
                         ("on_prompt", c_void_p), ("user", c_void_p))
GenerateStats = struct("GenerateStats", ("prompt_tokens", c_int64), ("cached_tokens", c_int64), ("generated_tokens", c_int64),
                       ("finish", c_int32), ("prompt_ms", c_double), ("first_token_ms", c_double), ("decode_ms", c_double),
                       ("prompt_tokens_per_second", c_double), ("tokens_per_second", c_double), ("seed", c_uint64))
SamplerOptions = struct("SamplerOptions", ("temperature", c_float), ("top_k", c_int32), ("top_p", c_float), ("min_p", c_float),
                        ("repeat_penalty", c_float), ("repeat_last_n", c_int32), ("seed", c_uint64))


class AbiError(ValueError):
    def __init__(self, code, message):
        super().__init__(f"code {code}: {message}")
        self.code = code


def ints(values):
    return (c_int32 * len(values))(*values)


class Library:
    """A model.so, opened. Its functions raise AbiError."""

    def __init__(self, path):
        self.dll = ctypes.CDLL(path)
        for name, restype in (("length", c_int64), ("pending", c_int64), ("state_bytes", c_int64), ("error_message", c_char_p)):
            getattr(self.dll, f"llmc_{name}").restype = restype
        self.handle = c_void_p()
        self.call("model_open", None, byref(self.handle))
        self.info = ModelInfo.new()
        self.call("model_get_info", self.handle, byref(self.info))

    def call(self, name, *args):
        error = c_void_p()
        code = getattr(self.dll, f"llmc_{name}")(*args, byref(error))
        if code:
            message = self.dll.llmc_error_message(error).decode()
            self.dll.llmc_error_free(error)
            raise AbiError(code, message)

    def close(self):
        self.dll.llmc_model_close(self.handle)


class Context:
    """Sequences of one model. `with` frees it."""

    def __init__(self, library, **options):
        self.library, self.handle = library, c_void_p()
        wanted = ContextOptions.new(**options)
        library.call("context_create", library.handle, byref(wanted), byref(self.handle))
        self.info = ContextInfo.new()
        library.call("context_get_info", self.handle, byref(self.info))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.dll.llmc_context_free(self.handle)

    def call(self, name, *args):
        self.library.call(name, self.handle, *args)

    def eval(self, ids, slot=0, slots=None, want=WANT_ALL, stop_after=None):
        """The rows of logits: [len(ids), vocab], or of the last token of each slot. stop_after: ends in an error after as many calls of
        on_rows."""
        logits = np.zeros((len(ids), self.library.info.vocab), np.float32)
        request = EvalRequest.new(tokens=ints(ids), count=len(ids), slots=ints(slots) if slots else None, slot=slot, want=want)
        request.logits = logits.ctypes.data_as(POINTER(c_float))
        calls = [0]

        def on_rows(*_):
            calls[0] += 1
            return int(calls[0] == stop_after)

        if stop_after:
            request.on_rows = ROWS_FN(on_rows)
        self.call("eval", byref(request))
        return logits

    def best(self, ids, count, slot=0, slots=None, want=WANT_ALL):
        """(logits, ids) of the `count` best tokens of each row: [len(ids), count]."""
        logits, best = np.zeros((len(ids), count), np.float32), np.zeros((len(ids), count), np.int32)
        request = EvalRequest.new(tokens=ints(ids), count=len(ids), slots=ints(slots) if slots else None, slot=slot, want=want, best=count)
        request.best_logits, request.best_ids = logits.ctypes.data_as(POINTER(c_float)), best.ctypes.data_as(POINTER(c_int32))
        self.call("eval", byref(request))
        return logits, best

    def generate(self, ids, count, slot=0, flags=IGNORE_EOS, **sampling):
        """(ids drawn, greedily unless told otherwise, logits that chose them, stats)"""
        drawn, rows = [], []

        def on_token(_, token, logits, vocab):
            drawn.append(token)
            rows.append(np.ctypeslib.as_array(logits, (vocab,)).copy() if vocab else np.zeros(0, np.float32))
            return 0

        sampler = SamplerOptions.new(**{"temperature": 0, "top_p": 1, "repeat_penalty": 1, **sampling})
        options = GenerateOptions.new(tokens=ints(ids), token_count=len(ids), slot=slot, flags=flags, max_tokens=count,
                                      sampler=ctypes.cast(ctypes.pointer(sampler), c_void_p), on_token=TOKEN_FN(on_token))
        stats = GenerateStats.new()
        self.call("generate", byref(options), byref(stats))
        return drawn, np.stack(rows), stats

    def length(self, slot=0):
        return self.library.dll.llmc_length(self.handle, slot)

    def pending(self, slot=0):
        return self.library.dll.llmc_pending(self.handle, slot)

    def rollback(self, length, slot=0):
        self.call("rollback", c_int32(slot), c_int64(length))

    def fork(self, source, target):
        self.call("fork", c_int32(source), c_int32(target))

    def clear(self, slot=0):
        self.call("clear", c_int32(slot))

    def save(self, slot=0):
        buffer = ctypes.create_string_buffer(self.library.dll.llmc_state_bytes(self.handle, slot))
        self.call("state_save", c_int32(slot), buffer, c_int64(len(buffer)))
        return buffer.raw

    def restore(self, saved, slot=0):
        self.call("state_restore", c_int32(slot), saved, c_int64(len(saved)))
