r"""Many requests to one model: a line in, a line out, until no more come.

In plain form a request is a prompt and an answer is a text, both with ``\n`` for a
newline and ``\\`` for a backslash, so that each is a line and can be read back. In
JSON a request is an object with a prompt and with options by their names, and an
answer has the fields of a sample.

Requests that are there at the same time are answered side by side, each as it would
be alone, in the order in which they came.
"""

import json
import math
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import typer

from charrnn import strict_json
from charrnn.cli.arriving import Arriving
from charrnn.cli.output import TextSink
from charrnn.cli.prompts import (
    LONGEST,
    STDIN,
    PromptText,
    decoded,
    standard_input,
)
from charrnn.cli.records import pair_fields, score_fields, text_fields
from charrnn.cli.sample_form import Form
from charrnn.cli.sample_models import Models
from charrnn.cli.sample_prompts import Prompts
from charrnn.cli.spelling import as_option
from charrnn.config import Blending, SampleConfig, SampleInputs, check_search, settle
from charrnn.errors import CharRNNError, CorpusError, InputError, OptionError, field
from charrnn.escapes import expand, one_line, shortened
from charrnn.options import OptionTable, read

if TYPE_CHECKING:
    from charrnn.arrays import Ids
    from charrnn.generation import Piece, Question
    from charrnn.predictor import Predictor

#: Requests that are answered side by side, at most.
AT_ONCE = 1024

#: Random seeds are below this: any JSON reader keeps such an integer exact.
SEEDS = 2**53

#: What Python makes of numbers such as 1e400, and what JSON cannot say.
INFINITE = math.inf, -math.inf

#: Options that are texts of the model's symbols.
TEXTS = ("stop", "logit_bias", "allow", "ban")

AT_THE_START = "give it to the command, for all requests"

#: What requests may ask for, and what they may not.
OPTIONS = OptionTable(
    (SampleConfig, Blending, SampleInputs),
    elsewhere={
        "num_samples": "a request has one answer: ask again for another",
        "prompt_file": "a request has its prompt",
        "prompt_lines": "a request has one prompt",
        "output": "answers go where the command's go",
        "preset": AT_THE_START,
        "show_options": "an answer tells them",
        **dict.fromkeys(
            ("corpus", "echo", "escape", "json", "mix", "mix_mode", "threads", "raw"),
            AT_THE_START,
        ),
    },
)


@dataclass(frozen=True)
class Request:
    """A question to the model, and what its answer tells beside the text."""

    question: "Question"
    prompt: str  # symbols
    given_id: str | float | None = None  # what the answer is to be known by


class Service:
    """A model that answers requests.

    Parameters
    ----------
    model : Predictor
        With its memory, if it has one.
    models : Models
        The checkpoints that it came from.
    given : mapping
        Fields of `SampleConfig` for all requests, their texts in symbols.
    blending : Blending
        For all requests that say nothing else.
    inputs : SampleInputs
        Likewise.
    corpus : (N,) int array, optional
        The text that ``no_copy`` speaks of.
    form : Form
    """

    def __init__(
        self,
        model: "Predictor",
        models: Models,
        *,
        given: Mapping[str, Any],
        blending: Blending,
        inputs: SampleInputs,
        corpus: "Ids | None",
        form: Form,
    ) -> None:
        from charrnn.generation import Answering  # imports Numba
        from charrnn.reading import options_for

        self._models, self._vocab = models, models.vocab
        self._given, self._blending, self._inputs = given, blending, inputs
        self._has_corpus = corpus is not None
        self._json = form.json
        self._echo = form.echo and form.echo_given
        self._reading = options_for(models.vocab)
        self._answering = Answering(
            lambda wanted: model.blended(wanted.blend, adapt=wanted.adapt),
            corpus=corpus,
            scored=form.json,
        )
        self._usual = self._settled({}, blending)
        self._sha256 = models.sha256() if form.json else ""

    def run(self, lines: Arriving, sink: TextSink) -> None:
        """Answer requests until no more come.

        Raises
        ------
        ReaderGone
            Nobody reads the answers any more.
        """
        number = 0
        while block := lines.lines(AT_ONCE):
            for answer in self._answers(block, number):
                sink.write(answer)
            sink.flush()
            number += len(block)

    def _answers(
        self, block: Sequence[bytes | None], before: int
    ) -> Iterator[str | bytes]:
        """Answer some lines, each with a line.

        Parameters
        ----------
        before : int
            How many lines have come before them.
        """
        requests: list[Request | _Refused] = []
        for line in block:
            try:
                requests.append(self._request(line))
            except CharRNNError as error:
                requests.append(_Refused(error))
            except _RefusedError as refused:
                requests.append(_Refused(refused.error, refused.given_id))
        questions = [r.question for r in requests if isinstance(r, Request)]
        answers = self._answering.answers(questions)
        for number, request in enumerate(requests, start=before + 1):
            if isinstance(request, _Refused):
                yield self._refusal(request, number)
                continue
            answer = next(answers)
            if isinstance(answer, CharRNNError):
                yield self._refusal(_Refused(answer, request.given_id), number)
            else:
                yield self._answer(request, answer)

    def _request(self, line: bytes | None) -> Request:
        """Read a line.

        Raises
        ------
        CharRNNError
            It is no request, or one that cannot be answered.
        """
        if line is None:
            msg = f"the request is longer than {LONGEST >> 20} MiB"
            raise CorpusError(msg, hint="give the prompt's end only")
        if self._json:
            return self._of_object(line)
        symbols = self._symbols(line.removesuffix(b"\r"))
        config = self._usual
        if "seed" not in self._given:
            config = replace(config, seed=secrets.randbelow(SEEDS))
        return self._asked(symbols, config, self._blending, self._inputs)

    def _symbols(self, line: bytes) -> str:
        """Read a prompt in plain form.

        Raises
        ------
        CorpusError
            It is not UTF-8.
        OptionError
            A backslash begins no escape.
        """
        text = decoded(line, self._reading, "the prompt")
        try:
            return expand(text, self._vocab.unit)
        except ValueError as error:
            what, hint = error.args
            raise CorpusError(what, hint=hint) from None

    def _of_object(self, line: bytes) -> Request:
        """Read a request in JSON.

        Raises
        ------
        _RefusedError
            It is one that cannot be answered, and says what it is to be known by.
        """
        wanted = parsed(line)
        given_id = wanted.pop("id", None)
        fits = isinstance(given_id, str | int | float | None)
        if not fits or given_id is True or given_id is False or given_id in INFINITE:
            msg = f"{field('id')} must be a text or a number"
            raise OptionError(msg, hint="it is handed back as it is")
        try:
            prompt = wanted.pop("prompt", "")
            if not isinstance(prompt, str):
                msg = f"{field('prompt')} must be a text"
                raise OptionError(msg, hint="leave it away for none")
            OPTIONS.refuse_unknown(wanted)
            inputs = replace(self._inputs, **read(SampleInputs, wanted))
            inputs.check_model(pairs=self._models.pairs)
            blending = replace(self._blending, **read(Blending, wanted))
            config = self._settled(wanted, blending)
            symbols = self._vocab.to_symbols(self._vocab.adapted(prompt))
            request = self._asked(symbols, config, blending, inputs)
        except CharRNNError as error:
            raise _RefusedError(error, given_id) from error
        return replace(request, given_id=given_id)

    def _settled(self, wanted: Mapping[str, Any], blending: Blending) -> SampleConfig:
        """Put together how a request is answered.

        Parameters
        ----------
        wanted : mapping
            Its own options by name.

        Raises
        ------
        OptionError
            They are out of range, or do not go together.
        """
        own = read(SampleConfig, wanted)
        texts = {name: own[name] for name in TEXTS if name in own}
        if texts:
            found = SampleConfig(**texts).in_symbols(self._vocab.to_symbols)
            own |= {name: getattr(found, name) for name in texts}
        given = {"seed": secrets.randbelow(SEEDS), **self._given, **own}
        shares = {each.name: getattr(blending, each.name) for each in fields(blending)}
        OPTIONS.refuse_alone({**shares, **given})
        config = settle(given, pairs=self._models.pairs)
        check_search(config, blending)
        ends = config.stop or config.lines is not None or config.time is not None
        if config.length < 0 and not ends:
            msg = f"{field('length', -1)} would never end"
            hint = f"give {field('lines')}, {field('time')} or {field('stop')}"
            raise OptionError(msg, hint=hint)
        counted = self._has_corpus or self._models.remembers
        if config.no_copy is not None and not counted:
            msg = f"{field('no_copy')} needs {field('corpus')}: the model has no memory"
            raise OptionError(msg, hint="name the text when the command is started")
        return config

    def _asked(
        self,
        symbols: str,
        config: SampleConfig,
        blending: Blending,
        inputs: SampleInputs,
    ) -> Request:
        """Ask the model; see `Prompts` for what may be wrong with a prompt."""
        import numpy as np

        from charrnn.generation import Question

        prompts = Prompts(self._vocab, self._models.pairs, inputs)
        given = [PromptText(self._reading, symbols)]
        (prompt,) = prompts.prepared(given, of_lines=False)
        prompts.check([prompt])
        ids = np.concatenate(list(prompts.encode(prompt)))
        return Request(Question(ids, config, blending), prompt.text)

    def _answer(self, request: Request, answer: "Piece") -> str | bytes:
        """Write an answer as a line."""
        question, unit = request.question, self._vocab.unit
        if not self._json:
            before = request.prompt if self._echo else ""
            line = escaped(before + answer.text) + "\n"
            return line.encode("latin-1") if unit == "byte" else line
        config, blending = question.config, question.blending
        describe = pair_fields if self._models.pairs else text_fields
        found: dict[str, Any] = {
            "id": request.given_id,
            "index": 0,
            "seed": config.seed,
            **describe(request.prompt, answer, unit),
            "sampler": self._models.sampler_fields(config, blending),
            "checkpoint_sha256": self._sha256,
        }
        if answer.scores:
            found["logprobs"] = [score_fields(score, unit) for score in answer.scores]
        return as_json(found)

    def _refusal(self, refused: "_Refused", number: int) -> str:
        """Answer a request that cannot be answered: nothing, or an object."""
        error = refused.error
        if self._json:
            hint = None if error.hint is None else str(error.hint)
            found = {
                "id": refused.given_id,
                "error": str(error),
                "field": error.field,
                "hint": hint,
            }
            return as_json(found)
        error.where = f"line {number:,}"
        with suppress(OSError, ValueError):  # nobody listens
            what = one_line(error.spelled(as_option))
            typer.echo(f"charrnn: error: {what}", err=True)
        return "\n"


@dataclass(frozen=True)
class _Refused:
    """A request that cannot be answered, and why."""

    error: CharRNNError
    given_id: str | float | None = None


class _RefusedError(Exception):
    """What a request is to be known by, with what is wrong with it."""

    def __init__(self, error: CharRNNError, given_id: str | float | None) -> None:
        super().__init__(error)
        self.error, self.given_id = error, given_id


def requests_on_stdin() -> Arriving:
    """Find where requests come from.

    Raises
    ------
    InputError
        Standard input is closed.
    """
    descriptor = standard_input()
    if descriptor is None:
        msg = "standard input is closed"
        raise InputError(msg, hint="requests are read from it, a line each")
    return Arriving(descriptor, STDIN)


def escaped(text: str) -> str:
    r"""Write a text as one line that can be read back.

    A newline becomes ``\n``, a carriage return, which some readers take for one,
    ``\x0d``, and a backslash ``\\``.
    """
    text = text.replace("\\", "\\\\")
    return text.replace("\n", "\\n").replace("\r", "\\x0d")


def as_json(found: Mapping[str, Any]) -> str:
    """Write an object as a line; half a character, which UTF-8 lacks, by number."""
    line = json.dumps(found, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(found)
    return line + "\n"


def parsed(line: bytes) -> dict[str, Any]:
    """Read an object of JSON from a line.

    Raises
    ------
    CorpusError
        It is none.
    """
    hint = 'such as {"prompt": "The old house", "length": 80}'
    try:
        found = strict_json.parse(line.decode())
    except UnicodeDecodeError as error:
        where = f"byte {error.start + 1:,}"
        msg = "the request is not valid utf-8"
        raise CorpusError(msg, where=where, hint=hint) from None
    except ValueError as error:
        why = shortened(str(error))
        msg = f"the request is no JSON: {why}"
        raise CorpusError(msg, hint=hint) from None
    if not isinstance(found, dict):
        msg = "the request is no object of JSON"
        raise CorpusError(msg, hint=hint)
    return found
