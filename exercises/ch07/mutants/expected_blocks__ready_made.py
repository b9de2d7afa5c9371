# must trigger: calls the ready-made companion.schedules
from companion import schedules


def expected_blocks(blocks, p_last, rule):
    rates = {
        "paper": schedules.linear_depth,
        "both ends": schedules.inclusive_depth,
        "from zero": schedules.exclusive_depth,
    }
    return schedules.expected_depth(rates[rule](blocks, p_last))
