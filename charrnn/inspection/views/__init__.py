"""The views that come with charrnn, one module each.

A module says what its view needs, computes and shows; how it is computed is in
`charrnn.inspection`, which a view imports when it computes, because that
imports NumPy. Each has one name that others use: the object ``VIEW``.
"""
