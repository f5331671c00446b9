"""What the options of `sample` say beyond a configuration's plain numbers.

Characters and texts are given as a user writes them, with escapes perhaps, and
become symbols when the model's vocabulary is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from charrnn.cli.notes import Notes
from charrnn.cli.options import COMMON
from charrnn.cli.prompts import expand, to_symbols
from charrnn.cli.spelling import as_option
from charrnn.config import OUTPUT, PROMPT, SampleConfig
from charrnn.errors import OptionError, field, spell
from charrnn.filenames import read_output
from charrnn.options import Option, OptionTable, option

if TYPE_CHECKING:
    from charrnn.vocab import Vocab


#: The options that mean something while somebody writes.
WHILE_WRITING = {
    "interactive",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical",
    "no_repeat",
    "no_copy",
    "logit_bias",
    "allow",
    "ban",
    "set_unit",
    "precision",
    "seed",
    "blend",
    "adapt",
    "unknown",
    "corpus",
    "preset",
    "show_options",
    "quiet",
    "verbose",
    "color",
    "progress",
    "threads",
}


@dataclass(frozen=True, kw_only=True)
class Form:
    """Which prompts are given, in which form samples are written, and where to."""

    prompt: str | None = option(
        None,
        Option(
            "Text to continue; '' is none. Default: what is piped in, if anything.",
            PROMPT,
            short="p",
        ),
    )
    prompt_file: str | None = option(
        None,
        Option(
            "File with the prompt; - is standard input. A final line end is dropped.",
            PROMPT,
            metavar="PATH",
        ),
    )
    prompt_lines: bool = option(
        False, Option("Every line of the prompt is a prompt of its own.", PROMPT)
    )
    serve: bool = option(
        False,
        Option(
            "Answer requests until standard input ends: a prompt a line, for which a "
            r"line comes back at once, both with \n for a newline and \\ for a "
            f"backslash; with {field('json')}, objects with a prompt and options.",
            PROMPT,
        ),
    )
    interactive: bool = option(
        False,
        Option(
            "Complete what you write at a terminal, line by line: Tab takes a word, "
            "right all, up and down choose, Enter ends the line, Ctrl-D leaves. Not at "
            "a terminal: every line, continued.",
            PROMPT,
        ),
    )
    escape: bool = option(
        False,
        Option(
            r"Read \n \t \\ \xHH \uHHHH in prompt, stop text, separator and "
            "characters.",
            PROMPT,
            short="e",
        ),
    )
    echo: bool = option(
        True,
        Option(
            "Print the prompt too. Of pairs the input and a tab, only if this option "
            "is given.",
            PROMPT,
        ),
    )
    output: str | None = option(
        None,
        Option(
            "Write there, replacing what is there, and not to standard output.",
            OUTPUT,
            metavar="PATH",
            short="o",
            parse=read_output,
        ),
    )
    separator: str | None = option(
        None, Option("Between samples. A newline by default.", OUTPUT)
    )
    null: bool = option(
        False, Option("End every sample with a NUL byte.", OUTPUT, short="0")
    )
    json: bool = option(False, Option("One JSON object a sample.", OUTPUT))
    stream: bool = option(True, Option("Show a sample while it grows.", OUTPUT))
    preset: str | None = option(
        None,
        Option(
            "Options in a file, by their names, as TOML; those that are given win. "
            "Default: what CHARRNN_PRESET names, if anything.",
            COMMON,
            metavar="PATH",
        ),
    )
    show_options: bool = option(
        False,
        Option("Print the options in force as such a file, and end.", COMMON),
    )
    raw: bool = option(
        False,
        Option(
            "Exactly the text: a terminal gets control characters unescaped, and no "
            "newline is added at the end.",
            OUTPUT,
        ),
    )

    #: Whether `echo` was given, which inputs of pairs need to be printed.
    echo_given: bool = False

    def echoes(self, *, pairs: bool) -> bool:
        """Tell whether prompts are printed, of a model of pairs or of another."""
        return self.echo and (self.echo_given or not pairs)

    def check(self, config: SampleConfig) -> None:
        """Raise `OptionError` for what cannot go together."""
        if self.serve:
            self._check_service(config)
        parting = "--separator" if self.separator is not None else "--null"
        if self.json and (self.null or self.separator is not None):
            msg = f"--json cannot be combined with {parting}"
            raise OptionError(msg, hint="every object is a line of its own")
        if self.null and self.separator is not None:
            msg = "--separator cannot be combined with --null"
            raise OptionError(msg, hint="--null is a separator itself")
        if self.escape:
            texts = (self.separator or "", config.allow or "", config.ban)
            for text in (*texts, *config.stop):
                expand(text, "char")
        for symbol, _ in config.logit_bias:
            if len(expand(symbol, "char") if self.escape else symbol) != 1:
                msg = f"--logit-bias is for one character, not {symbol!r}"
                raise OptionError(msg, hint="give the option once for each")
        self._check_end(config)

    def _check_service(self, config: SampleConfig) -> None:
        """Raise `OptionError` for what no answer to a request can have."""
        refused = {
            "--prompt": (self.prompt is not None, "requests bring their prompts"),
            "--prompt-file": (self.prompt_file is not None, "pipe it in"),
            "--prompt-lines": (self.prompt_lines, "--serve alone reads lines"),
            "--null": (self.null, "every answer is a line"),
            "--separator": (self.separator is not None, "every answer is a line"),
            "--num-samples": (config.num_samples > 1, "a request has one answer"),
        }
        for name, (given, hint) in refused.items():
            if given:
                msg = f"--serve cannot be combined with {name}"
                raise OptionError(msg, hint=hint)

    def _check_end(self, config: SampleConfig) -> None:
        """Raise `OptionError` if somebody would wait for ever."""
        waits = {
            "--json": self.json,
            "--no-stream": not self.stream,
            "--num-samples": config.num_samples > 1,
            "--best-of": config.best_of > 1,
            "--prompt-lines": self.prompt_lines,
            "--serve": self.serve,
        }
        ends = config.stop or config.lines is not None or config.time is not None
        for name in (name for name, used in waits.items() if used):
            if config.length < 0 and not ends:
                msg = f"--length -1 cannot be combined with {name}"
                hint = "a sample must end: give --length, --lines, --time or --stop"
                raise OptionError(msg, hint=hint)


def adopt(
    config: SampleConfig, vocab: "Vocab", notes: Notes, *, escape: bool
) -> SampleConfig:
    """Turn the texts of a configuration into symbols; warn of what is in vain.

    Raises
    ------
    OptionError
        A character of --logit-bias is several bytes.
    """
    try:
        found = config.in_symbols(partial(to_symbols, unit=vocab.unit, escape=escape))
    except OptionError as error:
        if error.field == "logit_bias":
            error.hint = r"-e --logit-bias '\xHH=B' is for one byte"
        raise
    for warning in found.in_vain(vocab.symbols, config.stop):
        notes.warn(spell(warning, as_option))
    return found


def check_interactive(options: Mapping[str, Any], table: OptionTable) -> None:
    """Raise `OptionError` for options that mean nothing while somebody writes."""
    given = [
        entry.name
        for entry in table.entries
        if entry.name not in WHILE_WRITING
        and options.get(entry.name) not in (None, [], ())
    ]
    if given:
        listed = " and ".join(map(field, given))
        msg = f"{field('interactive')} cannot be combined with {listed}"
        hint = "what is written at the terminal is the prompt; a line ends its text"
        raise OptionError(msg, hint=hint)
