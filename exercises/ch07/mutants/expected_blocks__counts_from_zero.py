# must trigger: that is what the rule 'from zero' gives
def expected_blocks(blocks, p_last, rule):
    steps = blocks - 1 if rule == "both ends" else blocks
    return sum(1 - p_last * l / steps for l in range(blocks))
