"""Continue prompts: many samples side by side, a slice of characters at a time.

A prompt that all samples share is read through the network once and its state
handed to every sample; prompts of their own are read side by side. Sample i
then depends on its prompt, on the settings and on its own random numbers, and
on nothing else: rows of a batch never meet, in the kernels or in the filters.
So it does not matter either how a text is cut into slices, or which thread has
which rows.

Text is made of the vocabulary's symbols: characters, or for a model of bytes
the 256 characters of Latin-1 that stand for them. Whoever shows it turns them
back.
"""

from charrnn.generation.answers import Answering, Question
from charrnn.generation.batch import Generation, surprise
from charrnn.generation.greedy import Stopped, decode
from charrnn.generation.outputs import Generating, begin
from charrnn.generation.samples import FinishReason, Piece, Request, Score

__all__ = [
    "Answering",
    "FinishReason",
    "Generating",
    "Generation",
    "Piece",
    "Question",
    "Request",
    "Score",
    "Stopped",
    "begin",
    "decode",
    "surprise",
]
