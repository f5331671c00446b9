"""The five tutorials that this project implements, as programs to run and read.

``python -m charrnn.examples`` lists them; ``python -m charrnn.examples.NAME`` runs
one and prints the article's figures beside ours, or puts to the test what the article
claims. They are written on `charrnn.examples.layers`, a thin cover over the kernels
that train the text model; `generator` trains a text model itself.
``README.md`` beside this file says in which order to read the code.
"""

from typing import NamedTuple


class Example(NamedTuple):
    """What the list says of one program, and the program's heading as well."""

    name: str  # of the module
    author: str
    title: str
    line: str  # what the program does


EXAMPLES = {
    example.name: example
    for example in (
        Example(
            "reversing",
            "Sakryukin",
            "Under the Hood of Neural Networks. Part 2: Recurrent",
            "hear 1, 3, 5 and say it backwards: one step of learning, by the numbers",
        ),
        Example(
            "hello",
            "Didwania",
            "Step 6: Understanding Recurrent Neural Networks",
            'predict the letter after "he", wrongly; then train on "hello"',
        ),
        Example(
            "colors",
            "Oreshko",
            "Mild Introduction to Modern Sequence Processing. Part 2",
            "a color for a phrase: two words in, three numbers out",
        ),
        Example(
            "sentiment",
            "Sachinsoni",
            "Recurrent Neural Networks (RNN) from Basic to Advanced",
            "judge reviews of three words; see how gradients vanish",
        ),
        Example(
            "generator",
            "Oreshko",
            "Mild Introduction to Modern Sequence Processing. Part 1",
            "train a generator of text for some seconds and let it write",
        ),
    )
}
