"""Where things are: the repository, the cache, the Python environments that are made in it, and the model files."""
import glob
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache"), "llmc", "benchmark")


def say(text):
    print(f"== {text}", file=sys.stderr, flush=True)


def shown_command(program, arguments):
    """Paths by their last part: where things lie on this machine says nothing to who reads the page."""
    return shlex.join([program, *(re.sub(r"(^|[=,])/[^=,]*?([^/=,]+)/?(?=$|[=,])", r"\1\2", word) for word in arguments)])


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def call(command, what, env=None):
    """Runs a command that is no part of any timing; its output is shown only if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    if done.returncode:
        raise SystemExit(f"{what} failed (exit status {done.returncode}): {' '.join(command)}\n{done.stdout[-2000:]}")
    return done.stdout


def clang():
    for name in ("clang++-22", "/usr/lib/llvm-22/bin/clang++"):
        if shutil.which(name):
            return shutil.which(name)
    raise SystemExit("clang++-22 is not there; examples/install.sh installs it")


def environment(name, steps, env=None, after=None):
    """The Python of an environment in the cache, made by pip's arguments `steps` and the command `after` on first use."""
    folder = os.path.join(CACHE, "venv-" + name)
    python, mark = os.path.join(folder, "bin", "python"), os.path.join(folder, "made")
    if os.path.exists(mark):
        return python
    say(f"making {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    call([sys.executable, "-m", "venv", folder], "python3 -m venv")
    for step in steps:
        call([python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *step], "pip", env)
    if after:
        call([*after, folder], after[-1])
    open(mark, "w").close()
    return python


def python_with_gguf():
    return environment("gguf", [["numpy", "gguf"]])


def python_with_llama_cpp():
    compiler = clang()
    env = {**os.environ, "CC": compiler.replace("clang++", "clang"), "CXX": compiler, "CMAKE_ARGS": "-DGGML_NATIVE=ON"}
    return environment("llama-cpp", [["--no-binary", "llama-cpp-python", "llama-cpp-python"]], env)


# What optimum-intel and nncf ask for, but for torch's CUDA packages and torchvision, which nothing here uses: gigabytes.
OPENVINO = (["--no-deps", "torch", "optimum-intel", "optimum", "nncf", "openvino", "openvino-genai", "openvino-tokenizers"],
            ["transformers<5.6", "huggingface-hub<1.22", "numpy<2.5", "networkx<=3.6.1", "pydot<=4.0.1", "setuptools>=77.0.3", "openvino-telemetry",
             "requests", "packaging", "psutil", "rich", "safetensors", "scikit-learn", "scipy", "tabulate", "ninja", "filelock",
             "typing-extensions", "sympy", "jinja2", "fsspec"])


def python_with_openvino():
    stubs = os.path.join(ROOT, "test", "conformance", "torch_stubs.sh")
    return environment("openvino", OPENVINO, after=["bash", stubs])


def openvino_folder(preset, weights, python):
    """The row's shape in OpenVINO's own format, exported on first use."""
    path = os.path.join(CACHE, "models", f"{preset}-openvino-{weights}")
    if not os.path.exists(path):
        say(f"making {path}")
        part = f"{path}.{os.getpid()}"
        call([python, os.path.join(HERE, "openvino_export.py"), preset, weights, part], "openvino_export.py")
        os.replace(part, path)
    return path


def model_file(row, folder):
    """The row's GGUF file: from --models, or made (Gemma: fetched) in the cache."""
    if folder:
        names = [row.file] + (["gemma.gguf"] if row.preset.startswith("gemma") else [])
        for name in names:
            if os.path.exists(os.path.join(folder, name)):
                return os.path.join(folder, name)
    if row.preset.startswith("gemma"):
        return call([os.path.join(ROOT, "examples", "get-gemma.sh")], "get-gemma.sh").strip().splitlines()[-1]
    return synthetic(row)


def synthetic(row):
    generator = os.path.join(ROOT, "test", "conformance", "make_synthetic_gguf.py")
    digest = hashlib.sha256(open(generator, "rb").read()).hexdigest()[:12]   # another generator, other files
    path = os.path.join(CACHE, "models", digest, row.file)
    if not os.path.exists(path):
        say(f"making {path}")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        part = f"{path}.{os.getpid()}"
        call([python_with_gguf(), generator, "--preset", row.preset, "--quant", row.quant, "--out", part], "make_synthetic_gguf.py")
        os.replace(part, path)
    return path
