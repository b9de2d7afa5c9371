def expected_blocks(blocks, p_last, rule):
    mean_rate = (
        {"paper": (blocks + 1) / blocks, "both ends": 1.0, "from zero": (blocks - 1) / blocks}[rule] * p_last / 2
    )
    return blocks * (1 - mean_rate)
