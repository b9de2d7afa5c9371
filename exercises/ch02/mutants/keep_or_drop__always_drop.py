# must trigger: you call every box the same
def keep_or_drop(box):
    return "drop"
