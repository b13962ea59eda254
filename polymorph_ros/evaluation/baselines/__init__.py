"""What Polymorph is compared with: a file for each family of baselines, all of them in one table.

An ``Entry`` in ``BASELINES`` of a family's file is a method of ``polymorph evaluate --compare``: to
add a baseline, add an entry there, and what it needs above. One that needs training names its
``Weights``, which say how they are trained: on the bundle's own frames, for as many gradient steps
as all of its adapters together. A new family is a new file, which ``table`` lists.
"""
