"""Numbers of things, and that no message counts them in a way of its own."""

import ast
import re
from pathlib import Path

import charrnn
from charrnn.counting import plural

PACKAGE = Path(charrnn.__file__).parent

#: What messages count; a word between, as in "3 new characters", changes nothing.
COUNTED = re.compile(
    r" ((?!of)[a-z]+ )?(steps|characters|lines|files|threads|epochs|bytes|samples"
    r"|parameters|kinds|times|units|layers|streams|rows|checkpoints)\b"
)

#: Limits and parts, numbers that are never 1, rates, and words that are no nouns.
OTHERS = {
    "baselines.py": 2,
    "config.py": 2,
    "contents.py": 1,
    "corpus.py": 3,
    "html_blocks.py": 1,
    "inspect.py": 1,
    "inspect_limits.py": 3,
    "notes.py": 1,
    "prepare.py": 2,
    "processors.py": 2,
    "reader.py": 1,
    "sample_form.py": 1,
    "texts.py": 1,
    "training_report.py": 2,
    "writer.py": 1,
}


def test_one_and_many() -> None:
    assert (plural(1, "line"), plural(0, "line")) == ("1 line", "0 lines")
    assert plural(2000, "new character") == "2,000 new characters"
    assert (plural(1.0, "epoch", "g"), plural(0.5, "epoch", "g")) == (
        "1 epoch",
        "0.5 epochs",
    )


def test_messages_count_by_it() -> None:
    found: dict[str, int] = {}
    for path in PACKAGE.rglob("*.py"):
        if "examples" in path.parts:
            continue  # programs whose numbers are constants
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.JoinedStr):
                continue
            for number, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(number, ast.FormattedValue) and COUNTED.match(
                    str(getattr(text, "value", ""))
                ):
                    found[path.name] = found.get(path.name, 0) + 1

    assert found == OTHERS
