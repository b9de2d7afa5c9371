# must trigger: that is what the rule 'from zero' gives, not 'both ends'
def expected_blocks(blocks, p_last, rule):
    first = 1 if rule == "paper" else 0
    return sum(1 - p_last * (l + first) / blocks for l in range(blocks))
