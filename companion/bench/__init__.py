"""The benchmark: every layer timed beside its peers in one process (``python -m companion.bench``).

``cases`` says what is compared and with which goals, ``measure`` how it is timed, ``peers`` where the others' layers
come from, ``report`` what is written. Results are ratios: seconds mean little on another machine.
"""
