"""How fusion chooses: a plan, and the steps that make it (the tuple FUSION in passes/plan_kernels.py).

plan.py         what is inlined, the clusters, the order in which they run, what was refused
forms.py        what kernels need of those before them, and give to those behind
cluster.py      nodes that share a kernel
refusal.py      rules, and what they kept apart
probes.py       what nodes read and cost
merge.py        whether two clusters can be one
text.py         a plan as text
parse.py        a plan of text
bodies.py       which graphs within a graph have plans
verify.py       whether a plan is one
measure.py, inline_into_columns.py, inline_shifted.py, place.py, pair_columns.py, move_to_reader.py, stack.py, row_partials.py
                a step each
"""
