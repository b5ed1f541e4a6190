"""Compares llmc's template engine with jinja2, as transformers sets it up, on templates that nobody wrote.

    ~/.cache/llmc/venv-hf/bin/python test/conformance/chat/mutate.py --render build/unittests/RenderBatchMain [--seed S] [--count N]

Takes the templates and snippets here apart and puts them together again, wrongly: tokens go, come twice, change places or come from
another template; expressions are joined. Both must give the same text, or both refuse. Left out is what the engine says it has not
(status 3), and text with addresses of objects, which no two programs share. Ends with `N passed, N failed`.
"""
import argparse, json, os, pathlib, random, re, signal, subprocess, sys, tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
from transformers.utils import chat_template_utils as utils

HERE = pathlib.Path(__file__).parent
TOKEN = re.compile(r"\{%[-+]?|[-+]?%\}|\{\{-?|-?\}\}|\w+|'[^']*'|\"[^\"]*\"|\s+|.", re.S)
JOINTS = ["{{ (%s) | default(%s) }}", "{{ (%s) ~ (%s) }}", "{{ (%s) == (%s) }}", "{{ [%s, %s] }}", "{{ (%s) in [%s] }}",
          "{{ [%s, %s] | tojson }}", "{%% for x in (%s) %%}{{ x }}{{ loop.index }},{%% else %%}{{ %s }}{%% endfor %%}",
          "{{ (%s) if (%s) else 'n' }}", "{{ ((%s) | string) + ((%s) | string) }}",
          "{{ ((%s) | string)[1:(%s) | string | length] }}", "{%% set a = (%s) %%}{%% set b = (%s) %%}{{ a }}{{ a < b }}"]


class FormatClock:
    """The time that RenderBatchMain tells: the format itself."""
    @staticmethod
    def now():
        return type("Now", (), {"strftime": staticmethod(lambda form: form)})


def mutate(rng, text, pool):
    tokens = TOKEN.findall(text)
    for _ in range(rng.choice([1, 1, 2, 3])):
        if not tokens: break
        i, j, how = rng.randrange(len(tokens)), rng.randrange(len(tokens)), rng.randrange(5)
        if how == 0: del tokens[i]
        elif how == 1: tokens.insert(i, tokens[i])
        elif how == 2: tokens[i] = rng.choice(pool)
        elif how == 3: tokens.insert(i, rng.choice(pool))
        else: tokens[i], tokens[j] = tokens[j], tokens[i]
    return "".join(tokens)


def make(rng, count):
    snippets = [s for s in json.loads((HERE / "snippets.json").read_text()) if "10000" not in s]   # long loops
    templates = [path.read_text() for path in sorted((HERE / "templates").glob("*.jinja"))]
    pool = [token for text in snippets + templates for token in TOKEN.findall(text)]
    expressions = [e for s in snippets for e in re.findall(r"\{\{(.*?)\}\}", s)]
    def one():
        kind = rng.random()
        if kind < 0.4: return rng.choice(JOINTS) % (rng.choice(expressions), rng.choice(expressions))
        return mutate(rng, rng.choice(snippets if kind < 0.8 else templates), pool)
    return [one() for _ in range(count)]


def reference(text, variables):
    """The text, or None."""
    def too_long(*_): raise TimeoutError
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(10)
    try: return utils._compile_jinja_template(text).render(**variables)
    except Exception: return None
    finally: signal.alarm(0)


def verdict(want, got):
    """Whether they agree; None where nothing can be said."""
    if want is not None and (re.search(r"0x[0-9a-f]{6,}|<generator|<bound method", want) or "has no text" in got.get("error", "")): return None
    if got.get("code") == 3: return None
    return want == got.get("text")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", required=True); parser.add_argument("--seed", type=int, default=1); parser.add_argument("--count", type=int, default=2000)
    args = parser.parse_args()
    utils.datetime = FormatClock
    request = json.loads((HERE / "conversations" / "tools.json").read_text())
    variables = {**json.loads((HERE / "variables.json").read_text()), **request, "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True}
    texts = make(random.Random(args.seed), args.count)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(variables, file); file.flush()
        run = subprocess.run([args.render, file.name], input=json.dumps(texts).encode(), capture_output=True, timeout=600, check=True)
    passed = failed = skipped = 0
    for text, got in zip(texts, json.loads(run.stdout), strict=True):
        want = reference(text, variables)
        agrees = verdict(want, got)
        passed, failed, skipped = passed + (agrees is True), failed + (agrees is False), skipped + (agrees is None)
        if agrees is False: print(f"FAIL  {text[:300]!r}\n  want {want if want is None else want[:200]!r}\n  got  {got.get('text', got.get('error'))[:200]!r}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
