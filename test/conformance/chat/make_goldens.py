"""Records what transformers makes of the chat templates here: goldens.json, which runtime/template's tests compare with.

    ~/.cache/llmc/venv-hf/bin/python test/conformance/chat/make_goldens.py [--check]

templates/*.jinja have the shapes of published models' templates, written for these tests. conversations/*.json are requests as
llmc reads them. snippets.json holds small templates, one feature each, rendered with variables.json. --check
compares with the recorded file instead of writing it.
"""
import argparse, datetime, json, os, pathlib, sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import jinja2
import transformers
from transformers.utils import chat_template_utils as utils

HERE = pathlib.Path(__file__).parent
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2025, 3, 9, 14, 5, 7)


def outcome(render):
    """The text; or why there is none: the template's own words where it raised them itself, else null."""
    try:
        return {"text": render()}
    except jinja2.exceptions.TemplateError as error:
        own = type(error) is jinja2.exceptions.TemplateError
        return {"error": str(error) if own else None}
    except Exception:
        return {"error": None}


def apply(template, request):
    """apply_chat_template without a tokenizer."""
    request = {"messages": request} if isinstance(request, list) else dict(request)
    messages = utils._normalize_chat_messages(request.pop("messages"))
    prompt = request.pop("add_generation_prompt", True)
    rendered, _ = utils.render_jinja_template(
        [messages], tools=request.pop("tools", None), documents=request.pop("documents", None), chat_template=template,
        add_generation_prompt=prompt, **{**TOKENS, **request})
    return rendered[0]


def make():
    utils.datetime = FixedClock
    conversations = {path.stem: json.loads(path.read_text()) for path in sorted((HERE / "conversations").glob("*.json"))}
    templates = {path.stem: path.read_text() for path in sorted((HERE / "templates").glob("*.jinja"))}
    snippets, variables = (json.loads((HERE / name).read_text()) for name in ("snippets.json", "variables.json"))
    return {
        "made_with": f"transformers {transformers.__version__}, jinja2 {jinja2.__version__}",
        "templates": {name: {key: outcome(lambda: apply(text, request)) for key, request in conversations.items()}
                      for name, text in templates.items()},
        "snippets": [outcome(lambda: utils._compile_jinja_template(text).render(**variables))
                     for text in snippets],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    path, made = HERE / "goldens.json", make()
    if not parser.parse_args().check:
        path.write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n")
        return 0
    recorded = json.loads(path.read_text())
    same = all(recorded[key] == made[key] for key in ("templates", "snippets"))
    print("the goldens are what transformers makes" if same else "the goldens differ from what transformers makes: run without --check")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
