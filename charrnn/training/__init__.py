"""Train a model: one step, a whole run, and how a run begins.

`trainer` takes steps, `run` decides when to evaluate, save, roll back and
stop, `prepare` builds a trainer from options, `resume` from a checkpoint,
`output` writes the files, whose names are in `places`. `run.Run` yields the
records of `records`; it never prints.
"""
