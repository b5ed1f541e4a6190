"""What a compiled model holds for GPUs, read as runtime/artifact/Artifact.h declares it; and its steps run by the emulator. Standard library and numpy."""
import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int32, c_int64, c_uint8, c_uint32, c_uint64, c_void_p

import numpy as np


class Step(Structure):  # struct llmc_step
    _fields_ = [("tokens", c_int64), ("rows", c_int64), ("token_ids", c_void_p), ("positions", c_void_p), ("slots", c_void_p),
                ("lengths", c_void_p), ("row_tokens", c_void_p), ("logits", c_void_p), ("hidden", c_void_p), ("weights", c_void_p),
                ("states", c_void_p), ("state_slot_bytes", c_void_p), ("state_layer_bytes", c_void_p), ("capacity", c_int64),
                ("arena", c_void_p), ("scratch", c_void_p), ("team", c_void_p), ("profile", c_void_p), ("best", c_int64),
                ("best_panels", c_void_p), ("best_logits", c_void_p), ("position_ids", c_void_p), ("token_types", c_void_p), ("source_lengths", c_void_p)]


class Launcher(Structure):
    pass


LAUNCH_FN = CFUNCTYPE(None, POINTER(Launcher), c_int64, c_int64)
Launcher._fields_ = [("launch", LAUNCH_FN), ("engine", c_void_p)]


class GpuEntry(Structure):
    _fields_ = [("max_tokens", c_int64), ("arena_bytes", c_int64), ("scratch_bytes", c_int64), ("shared_bytes", c_int64), ("step", c_char_p),
                ("phase_count", c_int64), ("phases", POINTER(c_char_p)), ("launches", CFUNCTYPE(None, POINTER(Step), POINTER(Launcher))),
                ("best_rows", c_int64)]


class Gpu(Structure):
    _fields_ = [("name", c_char_p), ("compute", c_int64), ("threads", c_int64), ("ptx", c_char_p), ("cubin", c_void_p),
                ("cubin_bytes", c_int64), ("entry_count", c_int64), ("entries", POINTER(GpuEntry))]


class Weight(Structure):
    _fields_ = [("name", c_char_p), ("offset", c_int64), ("bytes", c_int64)]


class State(Structure):
    _fields_ = [("name", c_char_p), ("layers", c_int64), ("bytes_per_position", c_int64), ("fixed_bytes", c_int64)]


class Descriptor(Structure):  # struct llmc_artifact
    _fields_ = [("abi", c_uint32), ("struct_size", c_uint32), ("metadata", c_char_p), ("vocab", c_int64), ("hidden", c_int64),
                ("context", c_int64), ("isa_count", c_int64), ("isas", c_void_p), ("weight_count", c_int64), ("weights", POINTER(Weight)),
                ("weight_bytes", c_int64), ("weight_id", c_uint8 * 16), ("weight_file", c_char_p), ("state_count", c_int64),
                ("states", POINTER(State)), ("asset_count", c_int64), ("assets", c_void_p), ("gpu_count", c_int64), ("gpus", POINTER(Gpu)),
                ("traits", c_int64)]


class Artifact:
    def __init__(self, path):
        self.dll = ctypes.CDLL(path)
        self.model = Descriptor.in_dll(self.dll, "llmc_model")
        if self.model.struct_size != ctypes.sizeof(Descriptor):
            raise ValueError(f"{path}: the descriptor has {self.model.struct_size} bytes, want {ctypes.sizeof(Descriptor)}")
        self.weights = aligned(np.fromfile(path.replace(".so", ".weights"), np.uint8)[4096:])

    def gpus(self):
        return [self.model.gpus[i] for i in range(self.model.gpu_count)]


def aligned(data, fill=None):
    """A copy of `data`, or so many bytes of `fill`, that starts at a multiple of 64."""
    size = len(data) if fill is None else data
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    view = memory[start:start + size]
    view[:] = data if fill is None else fill
    return view


class EmulatedSteps:
    """Runs steps of one sequence as a GPU would. `way`: "persistent", one kernel for the step, or "launches", one for each phase."""

    def __init__(self, artifact, gpu, library, capacity=64, blocks=2, way="persistent", backwards=False):
        self.artifact, self.gpu, self.blocks, self.way, self.backwards, self.capacity = artifact, gpu, blocks, way, backwards, capacity
        self.code = ctypes.CDLL(library)
        self.code.llmc_run_grid.argtypes = [c_void_p, c_uint64, c_uint64, c_int64, c_int64, c_int64, c_int64]
        model = artifact.model
        start = artifact.weights.ctypes.data
        self.weights = np.array([start + model.weights[i].offset for i in range(model.weight_count)], np.uint64)
        states = [model.states[i] for i in range(model.state_count)]
        self.layer_bytes = np.array([s.bytes_per_position * capacity or s.fixed_bytes for s in states], np.int64)
        self.slot_bytes = np.array([s.layers * n for s, n in zip(states, self.layer_bytes)], np.int64)
        self.state_memory = [aligned(int(n), 0) for n in self.slot_bytes]
        self.states = np.array([m.ctypes.data for m in self.state_memory], np.uint64)
        self.position = 0

    def grid(self, name, entry, a, b=0):
        kernel = ctypes.cast(getattr(self.code, name.decode()), c_void_p)
        self.code.llmc_run_grid(kernel, a, b, self.blocks, self.gpu.threads, entry.shared_bytes, self.backwards)

    def run(self, ids):
        """The logits after each of the next tokens."""
        count, model = len(ids), self.artifact.model
        entry = next(self.gpu.entries[i] for i in range(self.gpu.entry_count) if self.gpu.entries[i].max_tokens >= count)
        positions = np.arange(self.position, self.position + count, dtype=np.int32)
        arrays = dict(token_ids=np.array(ids, np.int32), positions=positions, position_ids=positions, token_types=np.zeros(count, np.int32),
                      slots=np.zeros(count, np.int32), lengths=np.full(count, self.position + count, np.int32),
                      row_tokens=np.arange(count, dtype=np.int32), logits=np.full((count, model.vocab), np.nan, np.float32),
                      hidden=np.full((count, model.hidden), np.nan, np.float32), weights=self.weights, states=self.states,
                      state_slot_bytes=self.slot_bytes, state_layer_bytes=self.layer_bytes,
                      # What nobody wrote is no number.
                      arena=aligned(entry.arena_bytes, 0xff), scratch=aligned(entry.scratch_bytes * self.blocks, 0xff), team=aligned(128, 0))
        step = Step(tokens=count, rows=count, capacity=self.capacity, **{name: array.ctypes.data for name, array in arrays.items()})
        address = ctypes.addressof(step)
        if self.way == "persistent":
            self.grid(entry.step, entry, address)
        else:
            launcher = Launcher(LAUNCH_FN(lambda _, phase, layer: self.grid(entry.phases[phase], entry, address, layer)))
            entry.launches(ctypes.byref(step), ctypes.byref(launcher))
        self.position += count
        return arrays["logits"]
