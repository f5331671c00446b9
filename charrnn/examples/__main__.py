"""List the examples: ``python -m charrnn.examples``."""

from charrnn.examples import EXAMPLES
from charrnn.examples.figures import run_program


def main() -> int:
    """Print the name of every example, its article and what it does."""
    print("Run one with: python -m charrnn.examples.NAME\n")
    for example in EXAMPLES.values():
        print(f"{example.name:<11}{example.line}")
        print(f"{'':<11}{example.author}, {example.title}")
    print(
        "\nSets of pairs, such as dates and numbers in words, to train on:\n"
        "python -m charrnn.examples.pairs SET -n N > pairs.tsv"
    )
    return 0


if __name__ == "__main__":
    run_program(main)
