"""Train a network: one step, a whole run, and how a run begins.

=========== ==============================================================
request     what a run is asked for
prepare     makes a job of a new request; `resume` of a checkpoint's, with
            `plan`, `texts` and `transfer` for what both leave open
job         texts, network and history of a run
trainer     takes steps, with an `optimizer` and an `average` of the weights
agenda      what a run has to do next: a pure function
run         does it, and yields `records`; it never prints
output      where checkpoints go
history     the losses so far; `baselines` are what they are measured against
blending    the n-grams of the text, and the network's share beside them
=========== ==============================================================
"""
