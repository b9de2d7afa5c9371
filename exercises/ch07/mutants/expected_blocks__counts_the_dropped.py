# must trigger: that is the expected number of blocks that are dropped
def expected_blocks(blocks, p_last, rule):
    first = {"paper": 1, "both ends": 0, "from zero": 0}[rule]
    steps = blocks - 1 if rule == "both ends" else blocks
    return sum(p_last * (i + first) / steps for i in range(blocks))
