# must trigger: if every block had the rate of the last one
def expected_blocks(blocks, p_last, rule):
    return blocks * (1 - p_last)
