"""Every surface against one small model, after every one of many random operations: HTTP, DNS by every form of name, browsing,
reverse names and zone transfers; answers made anew and answers that were kept. One process, time is a parameter.

    python -m tests.differential --operations 10000 --seed 1

The brake, flap damping and what becomes of a drain when its instance expires are not in the model; they have models of their own
(tests/store, tests/dns/zones/test_suspects.py).
"""
