"""What Polymorph is compared with: a file for each family of baselines, all of them in one table.

An ``Entry`` in a file's ``BASELINES`` is a method of ``polymorph evaluate --compare``. One that
needs training names its ``Weights``, which say how they are trained: on the bundle's own frames,
for as many gradient steps as all of its adapters together.
"""
