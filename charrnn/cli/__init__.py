"""The command line: options in, library calls, display out.

One module a command. Modules here import typer, `charrnn.config` and
`charrnn.errors` at the top and everything heavier inside the command's body,
so that ``charrnn --help`` and a mistyped option answer at once.
"""
