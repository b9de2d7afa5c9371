# must trigger: this is the paper's rule
def expected_blocks(blocks, p_last, rule):
    return sum(1 - p_last * l / blocks for l in range(1, blocks + 1))
