"""Everything that draws: progress, tables, colored text. The only users of rich.

Generated text never comes here: rich would wrap it, read markup into it and
pass escape codes on. It goes to stdout through `charrnn.cli.output`.
"""
