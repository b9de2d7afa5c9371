# must trigger: need not be a whole number
def expected_blocks(blocks, p_last, rule):
    first = {"paper": 1, "both ends": 0, "from zero": 0}[rule]
    steps = blocks - 1 if rule == "both ends" else blocks
    return int(sum(1 - p_last * (i + first) / steps for i in range(blocks)))
